package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
)

// TestInspectorApproves answers the model's wish to run a command in the place
// of the person at the page.
func TestInspectorApproves(t *testing.T) {
	t.Parallel()
	_, flags := model(t, func(req aitest.Request) aitest.Reply {
		if len(req.Calls("run")) == 0 && req.LastUser() == "go" {
			return call("", "run", map[string]any{"argv": []string{"touch", "approved.txt"}})
		}
		return aitest.Text("The command has run.")
	})
	dir := demoRepo(t)
	cmd := newProgram(t).command(append(flags, "-dir", dir, "-json", "-inspect", "-max-repairs", "0", "go")...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	var setup setupReport
	page := ""
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event agent.Event
		require.NoError(t, json.Unmarshal(lines.Bytes(), &event))
		switch body := event.Body.(type) {
		case agent.Custom:
			if body.Name == eventSetup {
				setup = read[setupReport](body)
			}
		case agent.Asked:
			page = overview(t, setup.Inspector)
			answer, err := json.Marshal(map[string]any{"request": body.Request.ID, "response": agent.Response{Choices: []string{"yes"}}})
			require.NoError(t, err)
			resp, err := http.Post(setup.Inspector+"agents/"+url.PathEscape(setup.Agent)+"/answer", "application/json", bytes.NewReader(answer))
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, http.StatusOK, resp.StatusCode)
		}
	}
	require.NoError(t, lines.Err())
	require.Error(t, cmd.Wait())
	assert.Equal(t, exitRed, cmd.ProcessState.ExitCode(), "the bugs are still there")
	assert.FileExists(t, filepath.Join(dir, "approved.txt"))
	for _, want := range []string{`"Cost"`, `"Queue"`, `"Tests"`, `"Commits"`, `"Price a basket"`, `"state":"asking"`} {
		assert.Contains(t, page, want)
	}
}

// overview returns the first overview that the inspector sends.
func overview(t *testing.T, inspector string) string {
	t.Helper()
	resp, err := http.Get(inspector + "overview")
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return data
		}
	}
}
