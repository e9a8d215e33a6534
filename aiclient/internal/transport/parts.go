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

// LastUser returns the index of the last message of the user, -1 without one. A
// file of it that the provider does not take is an error. For one of an earlier
// message [Unreadable] stands: the user has been told, or another model could read
// it, and to refuse it for ever would end the conversation.
func LastUser(messages []aiclient.Message) int {
	i := len(messages) - 1
	for i >= 0 && messages[i].Role != aiclient.RoleUser {
		i--
	}
	return i
}

// Unreadable stands for a file that the provider does not take, of a tool's result
// or of an earlier message: the call has happened, and to refuse its result would
// end the conversation, too.
func Unreadable(f *aiclient.File) string {
	if f.MediaType == "" {
		return "[a file that cannot be shown to this model]"
	}
	return fmt.Sprintf("[a file of type %s that cannot be shown to this model]", f.MediaType)
}
