package peerbench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// The readers in this file are what one would write without a library: lines,
// and the least that encoding/json needs to be told.

func handWrittenOpenAI(url string, client *http.Client) (streamer, error) {
	return func(ctx context.Context) (n int, err error) {
		err = eachData(ctx, client, url+"/chat/completions", func(data []byte) error {
			var chunk struct {
				Choices []struct {
					Delta struct {
						Content string `json:"content"`
					} `json:"delta"`
				} `json:"choices"`
			}
			if err := json.Unmarshal(data, &chunk); err != nil {
				return err
			}
			if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
				n++
			}
			return nil
		})
		return n, err
	}, nil
}

func handWrittenAnthropic(url string, client *http.Client) (streamer, error) {
	return func(ctx context.Context) (n int, err error) {
		err = eachData(ctx, client, url+"/v1/messages", func(data []byte) error {
			var event struct {
				Type  string `json:"type"`
				Delta struct {
					Text string `json:"text"`
				} `json:"delta"`
			}
			if err := json.Unmarshal(data, &event); err != nil {
				return err
			}
			if event.Type == "content_block_delta" && event.Delta.Text != "" {
				n++
			}
			return nil
		})
		return n, err
	}, nil
}

// eachData calls read with each data line of a stream.
func eachData(ctx context.Context, client *http.Client, url string, read func([]byte) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"stream":true}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok || string(data) == "[DONE]" {
			continue
		}
		if err := read(data); err != nil {
			return err
		}
	}
	return lines.Err()
}
