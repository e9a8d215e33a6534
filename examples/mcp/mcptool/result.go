package mcptool

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenring-ai/tokenring-go/utility/text"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// pictures are the media types that every provider with vision accepts. A file
// of any other type could make the provider refuse the whole conversation.
var pictures = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// fromResult turns what a server answered into what a model reads.
func fromResult(res *mcp.CallToolResult, maxText, maxMedia int) tool.Result {
	out := tool.Result{IsError: res.IsError}
	var lines []string
	add := func(claimed string, data []byte) {
		kind := http.DetectContentType(data) // what it is, not what it is said to be
		switch {
		case !pictures[kind]:
			lines = append(lines, fmt.Sprintf("[a file of type %.80q, %s, is left out: only PNG, JPEG, GIF and WebP images can be shown]", claimed, text.Bytes(int64(len(data)))))
		case len(data) > maxMedia:
			lines = append(lines, fmt.Sprintf("[an image of %s is left out: %s are left of what the images of a result may have]", text.Bytes(int64(len(data))), text.Bytes(int64(maxMedia))))
		default:
			maxMedia -= len(data)
			out.Media = append(out.Media, tool.Media{MediaType: kind, Data: data})
		}
	}
	for _, content := range res.Content {
		switch c := content.(type) {
		case *mcp.TextContent:
			lines = append(lines, c.Text)
		case *mcp.ImageContent:
			add(c.MIMEType, c.Data)
		case *mcp.AudioContent:
			add(c.MIMEType, c.Data)
		case *mcp.ResourceLink:
			lines = append(lines, fmt.Sprintf("[resource %q: %s]", c.Name, c.URI))
		case *mcp.EmbeddedResource:
			switch r := c.Resource; {
			case r == nil:
			case r.Blob != nil:
				add(r.MIMEType, r.Blob)
			default:
				lines = append(lines, r.Text)
			}
		default:
			lines = append(lines, fmt.Sprintf("[content of an unknown kind, %T, is left out]", c))
		}
	}
	if len(res.Content) == 0 && res.StructuredContent != nil {
		if data, err := json.Marshal(res.StructuredContent); err == nil {
			lines = append(lines, string(data))
		}
	}
	bounded := text.NewHeadTail(maxText)
	_, _ = bounded.Write([]byte(strings.Join(lines, "\n"))) // never fails
	out.Text, out.Truncated = bounded.String(), int(bounded.Dropped())
	return out
}

// toResult turns a tool's result into the protocol's. It keeps below 16 MiB as
// JSON, the longest message that the common clients read: escapes make text up
// to six times as long and base64 media a third longer.
func toResult(name string, res tool.Result) *mcp.CallToolResult {
	const maxText, maxMedia = 512 << 10, 8 << 20
	out := &mcp.CallToolResult{IsError: res.IsError}
	if res.Text != "" {
		bounded := text.NewHeadTail(maxText)
		_, _ = bounded.Write([]byte(strings.ToValidUTF8(res.Text, "\uFFFD"))) // never fails
		out.Content = append(out.Content, &mcp.TextContent{Text: bounded.String()})
	}
	left := maxMedia
	for i, m := range res.Media {
		if len(m.Data) > left {
			note := fmt.Sprintf("[a file of type %q, %s, is too large to send]", m.MediaType, text.Bytes(int64(len(m.Data))))
			out.Content = append(out.Content, &mcp.TextContent{Text: note})
			continue
		}
		left -= len(m.Data)
		switch kind, _, _ := strings.Cut(m.MediaType, "/"); kind {
		case "image":
			out.Content = append(out.Content, &mcp.ImageContent{MIMEType: m.MediaType, Data: m.Data})
		case "audio":
			out.Content = append(out.Content, &mcp.AudioContent{MIMEType: m.MediaType, Data: m.Data})
		default:
			out.Content = append(out.Content, &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{
				URI: fmt.Sprintf("result://%s/%d", name, i), MIMEType: m.MediaType, Blob: m.Data,
			}})
		}
	}
	return out
}
