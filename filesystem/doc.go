// Package filesystem gives programs, and the models they run, a file tree that
// they can read, search, edit and watch without ever leaving it.
//
// [New] opens a directory:
//
//	files, err := filesystem.New(filesystem.Options{Root: "."})
//
// Names are slash separated and relative to the root. Whatever a model names is
// confined to the root, symlinks included, and only regular files and
// directories are opened: a FIFO, a socket or a device is refused.
//
// # Finding
//
// [Service.Walk], [Service.Glob] and [Service.Search] see what git would see:
// nested .gitignore files, .git/info/exclude and core.excludesFile are
// followed to the letter, .aiignore files add rules of the same syntax that
// only agents obey, and .git itself is never listed. Search results come in a
// stable order and within limits; over a limit the result keeps its totals,
// shows less, and says so.
//
// # Changing
//
// [Service.WriteFile] replaces a file atomically and keeps its mode.
// [Service.Edit] replaces exact, unique text, several edits at once or none,
// and returns a unified diff; when an edit does not apply, the error shows the
// nearest candidates with line numbers. Each change advances a generation:
// [Service.Dirty], [Service.WriteGeneration] and [Service.MarkClean] tell a
// test runner whether anything changed since it began.
//
// # For agents
//
// [Service.Tools] are the model's actions, [Service.Command] is the person's,
// and the Service is a state slice of an agent: selected files and what is
// dirty survive a restart.
package filesystem
