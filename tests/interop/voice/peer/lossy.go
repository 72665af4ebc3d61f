package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"time"
)

// The receiver's rules for datagrams, protocol text §7.  This peer has no carrier for them: a test gives it records and
// times as a case of vectors, and compares what becomes of each.

const (
	oldKeyTime  = 2 * time.Second
	maxJump     = 14
	maxFailures = 1_000
)

// A window is one generation's key, with a mark for each record that has come.
type window struct {
	*chain
	seen map[uint64]bool
}

type lossy struct {
	installed map[uint32]*chain // generation 0 of each epoch whose keys there are
	newest    window
	old       *window
	oldUntil  time.Duration
	failures  int
}

// at gives a chain so many generations on.
func (c *chain) at(steps uint64) *chain {
	for range steps {
		last := *c
		last.counter = last.limit
		c = last.ready()
	}
	return c
}

// take says what becomes of a record: opened, dropped, failed, or closed.
func (l *lossy) take(record []byte, now time.Duration) string {
	kid, counter, size, err := parseHeader(record)
	if err != nil {
		return "dropped"
	}
	if counter >= l.newest.limit {
		return l.failed()
	}
	candidate, why := l.lookUp(uint32(kid>>4), kid&15, now)
	if candidate == nil {
		return why
	}
	if candidate.seen[counter] {
		return "dropped"
	}
	if _, err := candidate.aead.Open(nil, candidate.nonce(counter), record[size:], record[:size]); err != nil {
		return l.failed()
	}
	candidate.seen[counter] = true
	l.commit(candidate, now)
	return "opened"
}

func (l *lossy) failed() string {
	if l.failures++; l.failures >= maxFailures {
		return "closed"
	}
	return "failed"
}

// lookUp gives the one key that a KID means now.
func (l *lossy) lookUp(epoch uint32, generation uint64, now time.Duration) (*window, string) {
	newest := &l.newest
	old := l.old
	if old != nil && now > l.oldUntil {
		old = nil
	}
	switch distance := (generation - newest.generation) & 15; {
	case old != nil && old.epoch == epoch && old.generation&15 == generation:
		return old, ""
	case epoch > 0 && epoch+1 == newest.epoch: // that epoch is known, and its key is gone
		return nil, "dropped"
	case epoch == newest.epoch && distance == 0:
		return newest, ""
	case epoch == newest.epoch && distance <= maxJump:
		return &window{newest.at(distance), map[uint64]bool{}}, ""
	case epoch == newest.epoch:
		return nil, "dropped"
	case epoch == newest.epoch+1 && l.installed[epoch] != nil:
		if generation > maxJump {
			return nil, "dropped"
		}
		return &window{l.installed[epoch].at(generation), map[uint64]bool{}}, ""
	}
	return nil, l.failed()
}

// commit moves on to a key whose record had a right tag.
func (l *lossy) commit(w *window, now time.Duration) {
	before := l.newest
	switch {
	case w == l.old || w.chain == before.chain:
		return
	case w.epoch != before.epoch:
		l.failures = 0
		l.old, l.oldUntil = &before, now+oldKeyTime
	case w.generation == before.generation+1:
		l.old, l.oldUntil = &before, now+oldKeyTime
	default:
		l.old = nil
	}
	l.newest = *w
}

// A windowCase is records by where they stand in their chains; Install puts an epoch's keys there beforehand.
type windowCase struct {
	Suite int
	Limit uint64
	Bases []string // of epochs 0 and following, again and again: those without an Install are unknown all the same
	Steps []struct {
		Milliseconds int64
		Install      uint32
		Epoch        uint32
		Generation   uint64
		Counter      uint64
		Spoilt       string
	}
}

// answerWindow gives the records and what becomes of them.
func answerWindow(c windowCase, out io.Writer) error {
	first := func(epoch uint32) *chain {
		base := must(hex.DecodeString(c.Bases[int(epoch)%len(c.Bases)]))
		return newChain(c.Suite, epoch, base, c.Limit)
	}
	l := &lossy{installed: map[uint32]*chain{}, newest: window{first(1), map[uint64]bool{}}}
	var answer struct{ Records, Fates []string }
	for _, s := range c.Steps {
		if s.Install != 0 {
			l.installed[s.Install] = first(s.Install)
		}
		record := first(s.Epoch).at(s.Generation).sealAs(s.Counter, pad(1, frameAudio, make([]byte, 3)))
		switch s.Spoilt {
		case "tag":
			record[len(record)-1] ^= 1
		case "short":
			record = record[:12]
		case "first byte":
			record[0] &= 0x7F
		}
		answer.Records = append(answer.Records, hex.EncodeToString(record))
		answer.Fates = append(answer.Fates, l.take(record, time.Duration(s.Milliseconds)*time.Millisecond))
	}
	return json.NewEncoder(out).Encode(answer)
}
