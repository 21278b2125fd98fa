# managed by cistern
export GONOPROXY='none'
export GONOSUMDB='*.corp.example'
export GOPRIVATE='*.corp.example'
export GOPROXY='http://127.0.0.1:5050/go/'
export GOSUMDB='sum.golang.org'
