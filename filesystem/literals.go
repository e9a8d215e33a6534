package filesystem

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// requiredFinders returns finders of which at least one occurs in each match of
// the query, or none when there is no such set.
func requiredFinders(q Query, fold bool) []finder {
	var set []string
	folded := fold
	for _, p := range q.Patterns {
		flags := syntax.Perl
		if !q.Regexp {
			flags |= syntax.Literal
		}
		if fold {
			flags |= syntax.FoldCase
		}
		re, err := syntax.Parse(p, flags)
		if err != nil {
			return nil
		}
		l := literalsOf(re.Simplify())
		best := l.best()
		if score(best) == 0 {
			return nil
		}
		folded = folded || l.fold
		set = append(set, best...)
		if len(set) > maxFinders {
			return nil
		}
	}
	var out []finder
	for _, text := range set {
		out = append(out, newFinder(text, folded))
	}
	return out
}

// literals says which texts a match of an expression contains.
type literals struct {
	exact    []string // the expression matches exactly these; nil: not known
	required []string // each match contains one of these; nil: not known
	fold     bool     // letters of the texts match in either case
}

// maxExact bounds the number of texts that are kept of one expression.
const maxExact = maxFinders

func (l literals) best() []string {
	if score(l.exact) >= score(l.required) {
		return l.exact
	}
	return l.required
}

// score says how good a set of texts is at passing over what does not match:
// by its shortest, and the fewer the better. 0 is useless.
func score(set []string) int {
	if len(set) == 0 {
		return 0
	}
	shortest := len(set[0])
	for _, s := range set {
		shortest = min(shortest, len(s))
	}
	if shortest == 0 {
		return 0
	}
	return 16*min(shortest, 8) - len(set) + 1
}

func literalsOf(re *syntax.Regexp) literals {
	switch re.Op {
	case syntax.OpLiteral:
		return literalRunes(re.Rune, re.Flags&syntax.FoldCase != 0)
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return literals{exact: []string{""}}
	case syntax.OpCharClass:
		var exact []string
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if len(exact) == 4 || r == utf8.RuneError {
					return literals{}
				}
				exact = append(exact, string(r))
			}
		}
		return literals{exact: exact}
	case syntax.OpCapture:
		return literalsOf(re.Sub[0])
	case syntax.OpPlus:
		l := literalsOf(re.Sub[0])
		return literals{required: l.best(), fold: l.fold}
	case syntax.OpRepeat:
		if re.Min > 0 {
			l := literalsOf(re.Sub[0])
			return literals{required: l.best(), fold: l.fold}
		}
	case syntax.OpConcat:
		return concatLiterals(re.Sub)
	case syntax.OpAlternate:
		return alternateLiterals(re.Sub)
	}
	return literals{}
}

// alternateLiterals joins what each alternative matches.
func alternateLiterals(subs []*syntax.Regexp) literals {
	var out literals
	allExact, allBest := true, true
	for _, sub := range subs {
		l := literalsOf(sub)
		out.fold = out.fold || l.fold
		allExact = allExact && l.exact != nil
		out.exact = append(out.exact, l.exact...)
		best := l.best()
		allBest = allBest && score(best) > 0
		out.required = append(out.required, best...)
	}
	if !allExact || len(out.exact) > maxExact {
		out.exact = nil
	}
	if !allBest || len(out.required) > maxExact {
		out.required = nil
	}
	return out
}

// concatLiterals joins neighbours that are known exactly and keeps the best of
// what they make.
func concatLiterals(subs []*syntax.Regexp) literals {
	var out literals
	run := []string{""} // what the latest neighbours match exactly
	whole := true
	consider := func(set []string) {
		if score(set) > score(out.required) {
			out.required = set
		}
	}
	for _, sub := range subs {
		l := literalsOf(sub)
		out.fold = out.fold || l.fold
		if l.exact != nil && len(run)*len(l.exact) <= maxExact {
			var next []string
			for _, a := range run {
				for _, b := range l.exact {
					next = append(next, a+b)
				}
			}
			run = next
			continue
		}
		whole = false
		consider(run)
		consider(l.required)
		run = []string{""}
		if l.exact != nil && len(l.exact) <= maxExact {
			run = l.exact
		}
	}
	if whole {
		out.exact = run
	}
	consider(run)
	return out
}

// literalRunes handles a literal. It is split at runes that other bytes match
// too, and the best part is required: with fold those that have a case beyond
// ASCII, and always U+FFFD, which stands for any byte that is not UTF-8.
func literalRunes(runes []rune, fold bool) literals {
	out := literals{fold: fold}
	var part []rune
	for i := 0; i <= len(runes); i++ {
		if i < len(runes) && runes[i] != utf8.RuneError && (!fold || simpleFold(runes[i])) {
			part = append(part, runes[i])
			continue
		}
		if len(part) == len(runes) {
			out.exact = []string{string(part)}
		} else if len(part) > 0 && score([]string{string(part)}) > score(out.required) {
			out.required = []string{string(part)}
		}
		part = nil
	}
	return out
}

// simpleFold reports whether every case of r is ASCII.
func simpleFold(r rune) bool {
	for f := r; ; {
		if f >= utf8.RuneSelf {
			return false
		}
		if f = unicode.SimpleFold(f); f == r {
			return true
		}
	}
}
