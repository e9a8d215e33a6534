package transport

import (
	"fmt"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

// CheckParts reports a message of no known role and a part that lacks what its
// kind says it holds, so that adapters need not look for either.
func CheckParts(req *aiclient.Request) error {
	for i, m := range req.Messages {
		switch m.Role {
		case aiclient.RoleSystem, aiclient.RoleUser, aiclient.RoleAssistant, aiclient.RoleTool:
		default:
			return fmt.Errorf("message %d: unknown role %q", i, m.Role)
		}
		for j, p := range m.Parts {
			empty := false
			switch p.Kind {
			case aiclient.KindFile:
				empty = p.File == nil
			case aiclient.KindToolCall:
				empty = p.Call == nil
			case aiclient.KindToolResult:
				empty = p.Result == nil
			}
			if empty {
				return fmt.Errorf("message %d, part %d: a %s part without one", i, j, p.Kind)
			}
		}
	}
	return nil
}

// Unreadable stands for a file that a tool returned and the provider does not
// take: the call has happened, and to refuse its result would end the conversation.
func Unreadable(f *aiclient.File) string {
	if f.MediaType == "" {
		return "[a file that cannot be shown to this model]"
	}
	return fmt.Sprintf("[a file of type %s that cannot be shown to this model]", f.MediaType)
}
