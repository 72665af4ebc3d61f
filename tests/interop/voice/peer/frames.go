package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// What is inside a record, protocol text §9.

const (
	frameAudio     = 1
	frameSwitch    = 2
	frameDTMF      = 3
	framePing      = 4
	framePong      = 5
	frameHandshake = 6
	frameClose     = 7
	frameJSON      = 8
	frameCover     = 9
	frameMark      = 10
	frameClear     = 11
	frameMute      = 12
	frameData      = 13
)

type frame struct {
	kind    byte
	payload []byte
}

var buckets = []int{88, 128, 168, 248, 328, 408, 648, 968}

// pad lays a frame out: payload, type, zeros up to its bucket, but never beyond what a record may hold.
func pad(class, kind byte, payload []byte) []byte {
	plaintext := join(payload, []byte{kind})
	if class != 1 {
		return plaintext
	}
	target := 0
	for _, bucket := range buckets {
		if len(plaintext) <= bucket {
			target = bucket
			break
		}
	}
	if target == 0 {
		target = (len(plaintext)-8+319)/320*320 + 8
	}
	limit := maxMediaRecord
	if bytes.IndexByte([]byte{frameHandshake, frameClose, frameJSON, frameData}, kind) >= 0 {
		limit = maxRecord
	}
	target = min(target, limit-17-tagBytes) // no header is longer than 17 bytes
	return join(plaintext, make([]byte, max(0, target-len(plaintext))))
}

// parseFrame checks a frame against the table.  fromServer is its direction.
func parseFrame(plaintext []byte, recordBytes int, fromServer bool, codec byte) (frame, error) {
	stripped := bytes.TrimRight(plaintext, "\x00")
	if len(stripped) == 0 {
		return frame{}, fault(BadRecord, "nothing but padding")
	}
	f := frame{stripped[len(stripped)-1], stripped[:len(stripped)-1]}
	switch f.kind {
	case frameHandshake, frameClose, frameJSON, frameData:
	default:
		if recordBytes > maxMediaRecord {
			return f, fault(TooLarge, "a frame of type %d in %d bytes", f.kind, recordBytes)
		}
	}
	if f.kind >= 0x80 {
		return f, nil
	}
	if !f.legal(fromServer, codec) {
		return f, fault(BadRecord, "a frame of type %d with %d bytes", f.kind, len(f.payload))
	}
	return f, nil
}

func (f frame) legal(fromServer bool, codec byte) bool {
	n := len(f.payload)
	data := codec == 0
	switch f.kind {
	case frameAudio:
		return !data && audioBytes(f.payload) != nil
	case frameSwitch:
		return n == 4
	case frameDTMF:
		return !data && n == 3 && f.payload[0] <= 15
	case framePing, framePong:
		return n == 8
	case frameHandshake:
		return n > 0
	case frameClose:
		return n == 2
	case frameJSON:
		return n <= 4_000 && isObject(f.payload)
	case frameCover:
		return true
	case frameMark:
		return !data && n <= 64 && utf8.Valid(f.payload)
	case frameClear:
		return !data && fromServer && n == 0
	case frameMute:
		return !data && !fromServer && n == 1 && f.payload[0] <= 1
	case frameData:
		return data && n <= 8_000
	}
	return false
}

// audioBytes gives the codec's bytes of an audio frame, nil for one that is none.
func audioBytes(payload []byte) []byte {
	if len(payload) == 0 || payload[0]&^0x70 != 0 {
		return nil
	}
	start := 1
	if payload[0]&0x10 != 0 {
		start = 5
	}
	if len(payload) < start {
		return nil
	}
	return payload[start:len(payload):len(payload)]
}

func isObject(b []byte) bool {
	var object map[string]json.RawMessage
	return utf8.Valid(b) && json.Unmarshal(b, &object) == nil && object != nil
}

// A bucket is the receiver's count of small frames: 50 a second, 250 at once.
type bucket struct {
	filled  float64
	touched time.Time
}

func (b *bucket) takes(now time.Time) bool {
	if b.touched.IsZero() {
		b.filled = 250
	} else {
		b.filled = min(250, b.filled+50*now.Sub(b.touched).Seconds())
	}
	b.touched = now
	b.filled--
	return b.filled >= 0
}

func (f frame) draws(isEcho bool) bool {
	switch f.kind {
	case frameDTMF, framePing, frameJSON, frameClear, frameMute:
		return true
	case frameMark:
		return !isEcho
	}
	return false
}

func epochOf(payload []byte) uint32 { return binary.BigEndian.Uint32(payload) }
