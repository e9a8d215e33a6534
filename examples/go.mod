module github.com/tokenring-ai/tokenring-go/examples

go 1.26.0

require github.com/tokenring-ai/tokenring-go v0.0.0

replace github.com/tokenring-ai/tokenring-go => ../
