package filesystem

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

type patchArgs struct {
	Diff string `json:"diff" jsonschema:"unified diff with --- and +++ lines; /dev/null stands for a file that is not there"`
}

func (s *Service) patchTool() tool.Tool {
	return tool.New("patch", "Applies a unified diff to one or more files, all or none. Line numbers may be wrong as long as each hunk fits in one place only.",
		func(ctx context.Context, in patchArgs) (string, error) {
			results, err := s.Patch(ctx, in.Diff)
			if err != nil {
				return "", err
			}
			var b strings.Builder
			for _, r := range results {
				fmt.Fprintf(&b, "%s %s\n", r.Kind, r.Path)
				for _, n := range r.Notes {
					b.WriteString("note: " + n + "\n")
				}
			}
			return b.String(), nil
		},
		tool.Options{
			Annotations: tool.Annotations{Title: "Apply patch", Destructive: true},
			Logger:      s.opts.Logger,
			Effects: func(args json.RawMessage) []tool.Effect {
				var in patchArgs
				_ = json.Unmarshal(args, &in)
				files, err := parsePatch(in.Diff)
				if err != nil {
					return []tool.Effect{{Kind: tool.Write}}
				}
				var effects []tool.Effect
				for _, f := range files {
					name := f.newName
					if name == "" {
						name = f.oldName
					}
					effects = append(effects, tool.Effect{Kind: tool.Write, Target: name})
				}
				return effects
			},
			Preview: func(ctx context.Context, args json.RawMessage) (string, error) {
				var in patchArgs
				if err := json.Unmarshal(args, &in); err != nil {
					return "", fmt.Errorf("preview of patch: %w", err)
				}
				results, err := s.PreviewPatch(ctx, in.Diff)
				var b strings.Builder
				for _, r := range results {
					b.WriteString(r.Diff)
				}
				return b.String(), err
			},
		})
}
