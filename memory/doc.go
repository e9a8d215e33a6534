// Package memory keeps what an agent should not forget: short texts in order,
// which are put in front of the model with every call.
//
// A [Store] is safe for concurrent use and ready for agents as it is: it is a
// state slice, so checkpoints keep it; [Store.Context] injects it;
// [Store.Tools] lets the model use it and [Store.Command] a person;
// [Store.Fork] gives a sub-agent its own copy.
//
// Two bounds are separate. The budgets of [Options] bound what is stored, and
// evict the oldest items that are not pinned. Options.ContextTokens bounds what
// one model call sees, and forgets nothing: what does not fit is mentioned and
// can be searched.
package memory
