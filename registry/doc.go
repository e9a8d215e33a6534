// Package registry keeps named and typed things that a program looks up while
// it runs: providers, tools, commands, services.
//
//   - [Keyed] maps names to values. Reading takes no lock and allocates nothing;
//     iteration follows the order of registration over a consistent snapshot.
//     [Keyed.Wait] blocks until a name is registered, [Keyed.Watch] follows all
//     changes.
//   - [Typed] keeps one value per Go type, for wiring a host: [Put], [Get],
//     [Require], [WaitFor].
//   - [SingleSelector] and [MultiSelector] are views on a Keyed with a selection
//     of their own. Many of them, one per agent for instance, share a registry.
//   - [Balancer] spreads calls over members and skips those that are marked
//     unhealthy; [Fallback] tries members in order. Both take their members from
//     a function such as Keyed.All or MultiSelector.Active.
//
// The zero values of Keyed and Typed are ready for use, nothing here starts a
// goroutine, and everything is safe for concurrent use.
package registry
