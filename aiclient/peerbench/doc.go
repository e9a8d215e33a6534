// Package peerbench measures aiclient beside its peers, all in one run: streams
// over loopback in the wire formats of OpenAI and Anthropic, the tool loop over a
// model in the process, and the size and compile time of small programs.
//
// It is a module of its own and no part of the workspace, so that nobody else
// sees its dependencies, which take minutes to compile:
//
//	GOWORK=off go test -bench . -benchmem
//	GOWORK=off TOKENRING_LONG=1 go test -v -run MinimalPrograms -timeout 30m
//	cd ../../examples/benchreport && GOWORK=off go run . -packages ../../aiclient/peerbench
//
// openai-go, anthropic-sdk-go, langchaingo and Eino with its OpenAI client are the
// newest versions. Fantasy is v0.20.0, whose provider packages bring SDKs of their
// own: v0.41.2 does not compile with the newest openai-go, and later versions need
// a newer Go. Eino needs a newer bytedance/sonic than it asks for to build with
// Go 1.26.
package peerbench
