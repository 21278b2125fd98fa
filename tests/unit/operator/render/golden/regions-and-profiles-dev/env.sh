# managed by cistern
export GONOPROXY='none'
export GONOSUMDB='example.com/experiments/*'
export GOPROXY='http://127.0.0.1:5050/go/~dev/'
export GOSUMDB='sum.golang.org'
