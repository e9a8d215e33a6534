// Package aitest provides model providers for tests and demonstrations: a
// scripted model server that speaks the wire formats of real providers over
// loopback HTTP, with their faults, and a conformance suite for clients.
//
// The scripted server needs no testing.T, so that a program can embed it as an
// offline model:
//
//	server := aitest.NewServer(nil, func(r aitest.Request) aitest.Reply {
//		if len(r.ToolResults()) == 0 {
//			return aitest.Call("weather", `{"city":"Lisbon"}`)
//		}
//		return aitest.Text("It is " + r.ToolResults()[0].Text + " there.")
//	})
//	defer server.Close()
//
// The script sees the whole decoded conversation, so it can be a function
// without state: what it answers after a restart is what it would have answered
// before.
//
// Recorded traffic of real providers is replayed by the cassette subpackage.
package aitest
