package agent

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sample() *record {
	return &record{seq: 7, parent: 6, time: time.Unix(0, 1234567890123456789), events: 42, parts: []part{
		{kind: partFull, name: "conversation", version: 3, data: []byte(`{"a":[1,2,3]}`)},
		{kind: partDelta, name: "conversation", version: 3, data: []byte(strings.Repeat("long text ", 200))},
		{kind: partRemove, name: "gone", data: []byte{}},
	}}
}

func TestRecordRoundTrip(t *testing.T) {
	for _, compress := range []bool{false, true} {
		data, err := sample().encode(compress)
		require.NoError(t, err)
		assert.Equal(t, compress, len(data) < 1000)
		got, err := decodeRecord(data)
		require.NoError(t, err)
		want := sample()
		want.bytes = int64(len(data))
		assert.Equal(t, want, got)

		for i := range data { // no flipped bit goes unnoticed
			data[i] ^= 1 << (i % 8)
			_, err := decodeRecord(data)
			require.ErrorIs(t, err, errDamaged, "byte %d", i)
			data[i] ^= 1 << (i % 8)
		}
		for i := range data {
			_, err := decodeRecord(data[:i])
			require.ErrorIs(t, err, errDamaged)
		}
	}
}

func TestStepOverheadIsSmall(t *testing.T) {
	rec := &record{seq: 999, parent: 998, time: time.Now(), events: 12345, parts: []part{{kind: partDelta, name: "conversation"}}}
	data, err := rec.encode(false)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(data)+frameHead, 75)
}

// FuzzDecodeRecord: no input makes the decoder panic, hang or take more memory
// than the input justifies, and what it accepts round-trips.
func FuzzDecodeRecord(f *testing.F) {
	for _, compress := range []bool{false, true} {
		data, err := sample().encode(compress)
		require.NoError(f, err)
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte(recordMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= recordHeader { // let the fuzzer past the checksum
			data = bytes.Clone(data)
			binary.LittleEndian.PutUint32(data[6:], crc32.Checksum(data[recordHeader:], castagnoli))
		}
		rec, err := decodeRecord(data)
		if err != nil {
			require.ErrorIs(t, err, errDamaged)
			return
		}
		again, err := rec.encode(false)
		require.NoError(t, err)
		back, err := decodeRecord(again)
		require.NoError(t, err)
		back.bytes = rec.bytes
		require.Equal(t, rec, back)
	})
}

// FuzzScanFrames: whatever happened to a file, sound frames are found, and the
// end that is reported can be appended to.
func FuzzScanFrames(f *testing.F) {
	file := []byte(fileMagic)
	for seq := range uint64(4) {
		file, _ = appendFrame(file, Record{Seq: seq + 1, Data: bytes.Repeat([]byte{byte(seq)}, int(seq)*10)})
	}
	f.Add(file)
	f.Add(file[:len(file)-3])
	f.Add(append(bytes.Clone(file[:40]), file[50:]...))
	f.Add([]byte(frameMagic + frameMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		good := 0
		end := scanFrames(data, func(fr frame) bool {
			if fr.problem == "" {
				good++
			}
			return true
		})
		require.LessOrEqual(t, end, len(data))
		more, err := appendFrame(bytes.Clone(data[:end]), Record{Seq: 99, Data: []byte("next")})
		require.NoError(t, err)
		found := 0
		last := uint64(0)
		newEnd := scanFrames(more, func(fr frame) bool {
			if fr.problem == "" {
				found++
				last = fr.rec.Seq
			}
			return true
		})
		require.Equal(t, good+1, found)
		require.EqualValues(t, 99, last)
		require.Equal(t, len(more), newEnd)
	})
}

func TestDamageInTheMiddleOfAFile(t *testing.T) {
	dir := t.TempDir()
	store, err := NewFileStore(dir, FileStoreOptions{Logger: quiet})
	require.NoError(t, err)
	m := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	var ends []int64
	path := filepath.Join(dir, "a.ckpt")
	for range 6 {
		diaryOf(a).add("line")
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
		info, err := os.Stat(path)
		require.NoError(t, err)
		ends = append(ends, info.Size())
	}
	require.NoError(t, a.Stop(t.Context()))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[ends[3]-2] ^= 0xff // the fourth checkpoint
	require.NoError(t, os.WriteFile(path, data, 0o600))

	problems := 0
	for _, err := range store.Records(t.Context(), "a") {
		if err != nil {
			var bad *CorruptError
			require.ErrorAs(t, err, &bad)
			assert.EqualValues(t, 4, bad.Seq)
			problems++
		}
	}
	assert.Equal(t, 1, problems)
	b, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Len(t, diaryOf(b).all(), 3, "the newest one that is whole")
	assert.Len(t, b.Skipped(), 2)
	warnings := bodiesOf[Message](events(b))
	require.Len(t, warnings, 2)
	assert.Contains(t, warnings[0].Text, "damaged checkpoint 4")

	// It goes on behind the damage, which stays for whoever looks into it.
	diaryOf(b).add("new")
	_, err = b.Checkpoint(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Stop(t.Context()))
	c, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, []string{"line", "line", "line", "new"}, diaryOf(c).all())
	require.NoError(t, c.Prune(t.Context()))
	for _, err := range store.Records(t.Context(), "a") {
		require.NoError(t, err, "pruning removes the damaged record")
	}
	_, err = m.RestoreCheckpoint(t.Context(), "a@4", SpawnOptions{})
	require.Error(t, err)
}
