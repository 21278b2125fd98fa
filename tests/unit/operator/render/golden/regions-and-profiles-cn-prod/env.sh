# managed by cistern
export GONOPROXY='none'
export GOPROXY='http://127.0.0.1:5050/go/~prod/'
export GOSUMDB='sum.golang.org'
