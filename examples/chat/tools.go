package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// tools are what -tool can name.
var tools = map[string]tool.Tool{
	"time": tool.New("time", "Returns the current date and time.", currentTime,
		tool.Options{Annotations: tool.Annotations{ReadOnly: true}}),
}

func toolNames() []string { return slices.Sorted(maps.Keys(tools)) }

type timeArgs struct {
	Zone string `json:"zone,omitempty" jsonschema:"IANA time zone such as Europe/Oslo; the user's own when empty"`
}

func currentTime(_ context.Context, in timeArgs) (string, error) {
	zone := time.Local
	if in.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(in.Zone); err != nil {
			return "", fmt.Errorf("%w; name an IANA time zone such as Europe/Oslo", err)
		}
	}
	return time.Now().In(zone).Format("Monday, " + time.RFC3339 + " MST"), nil
}
