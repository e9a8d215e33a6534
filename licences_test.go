package tokenring_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	if string(want) == got {
		return
	}
	before, after := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("%s: gone: %s", file, line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("%s: new: %s", file, line)
		}
	}
	t.Errorf("%s differs; if that is intended, run: go test -update .", file)
}

// TestLicences compares the modules that any of ours needs, and their licences,
// with LICENCES.md, as they are on Linux, and fails for a licence that is not known
// here. After a change of requirements run: go test -run Licences -update .
func TestLicences(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", "work")
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := list.Output()
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("# Licences of the modules that are linked\n\n| module | licence |\n|---|---|\n")
	lines := slices.Sorted(slices.Values(strings.Split(strings.TrimSpace(string(out)), "\n")))
	for _, line := range slices.Compact(lines) {
		name, dir, ok := strings.Cut(line, "\t")
		if !ok || strings.HasPrefix(name, module) {
			continue
		}
		licence := licenceOf(dir)
		assert.NotEmpty(t, licence, "%s: its licence is not known here", name)
		b.WriteString("| " + name + " | " + licence + " |\n")
	}
	golden(t, "LICENCES.md", b.String())
}

// licenceOf recognises the licence of a module by words that only it has.
func licenceOf(dir string) string {
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "License*"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is well-formed
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			text := strings.Join(strings.Fields(string(data)), " ")
			for _, known := range []struct{ words, name string }{
				{"Apache License Version 2.0", "Apache-2.0"},
				{"Apache License, Version 2.0", "Apache-2.0"},
				{"Mozilla Public License Version 2.0", "MPL-2.0"},
				{"Mozilla Public License, version 2.0", "MPL-2.0"},
				{"Neither the name of", "BSD-3-Clause"},
				{"Neither the names of", "BSD-3-Clause"},
				{"Redistribution and use in source and binary forms", "BSD-2-Clause"},
				{"Permission is hereby granted, free of charge", "MIT"},
				{"Permission to use, copy, modify, and/or distribute this software for any purpose", "ISC"},
				{"Permission to use, copy, modify, and distribute this software for any purpose", "ISC"},
			} {
				if strings.Contains(text, known.words) {
					return known.name
				}
			}
		}
	}
	return ""
}
