// Package inspect serves a web page on which a person looks into a running host
// of agents and acts on them: live events and tool calls, open questions to
// answer, inputs to abort, checkpoints to open and compare, and whatever the host
// adds as a [Section] (its queue, tests, commits, cost) or as a [Series] of a
// chart.
//
//	inspector, err := inspect.Start(inspect.Options{Manager: manager})
//	if err != nil {
//		return err
//	}
//	defer inspector.Close(ctx)
//	fmt.Println("look at", inspector.URL)
//
// The page shows what agents read and write, and answers for a person, so it is
// for the machine's own user alone: the server listens on a loopback address
// only, every path begins with a random token, requests that were sent for
// another host name or from another site's page are refused, and the page loads
// nothing from elsewhere. Whoever may read the URL may do what the page does.
package inspect
