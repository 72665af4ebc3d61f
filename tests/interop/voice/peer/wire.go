package main

import (
	"encoding/binary"
	"slices"
)

// Messages and their TLVs, protocol text §2 and §3.

const (
	clientHello       = 1
	serverHello       = 2
	helloRetry        = 3
	serverParams      = 4
	serverCertificate = 5
	serverVerify      = 6
	serverFinished    = 7
	clientParams      = 8
	clientCredential  = 9
	clientVerify      = 10
	clientFinished    = 11
	rekeyInit         = 12
	rekeyResponse     = 13
	rekeyVerify       = 14
	newTicket         = 15
	rekeyRequest      = 16

	maxMessage   = 16_384
	maxHandshake = 65_536
)

// fields says for each tag of a body whether it must be there.
type fields map[byte]bool

const (
	mandatory = true
	optional  = false
)

var shapes = map[byte]fields{
	clientHello:       {1: mandatory, 2: mandatory, 3: mandatory, 4: mandatory, 5: optional, 6: mandatory},
	serverHello:       {1: mandatory, 2: mandatory, 3: mandatory, 4: mandatory, 5: optional},
	helloRetry:        {1: mandatory},
	serverParams:      {1: mandatory, 2: mandatory, 3: mandatory, 4: mandatory, 5: mandatory, 6: mandatory, 7: mandatory},
	serverCertificate: {1: mandatory},
	serverVerify:      {1: mandatory, 2: mandatory, 3: mandatory, 4: optional},
	serverFinished:    {1: mandatory},
	clientParams:      {1: mandatory, 2: mandatory, 3: mandatory, 4: optional},
	clientCredential:  {1: mandatory, 2: mandatory},
	clientVerify:      {1: mandatory},
	clientFinished:    {1: mandatory},
	rekeyInit:         {1: mandatory, 2: mandatory},
	rekeyResponse:     {1: mandatory, 2: mandatory},
	rekeyVerify:       {1: mandatory, 2: mandatory, 3: mandatory, 4: optional, 5: optional},
	newTicket:         {1: mandatory, 2: mandatory},
	rekeyRequest:      {},
}

// A reader takes bytes from the front; once something was missing it stays bad.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return make([]byte, min(n, 8))
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) u8() int  { return int(r.take(1)[0]) }
func (r *reader) u16() int { return int(binary.BigEndian.Uint16(r.take(2))) }
func (r *reader) u24() int { b := r.take(3); return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

func (r *reader) more() bool { return !r.bad && len(r.rest) > 0 }

func (r *reader) done(what string) error {
	if r.bad || len(r.rest) > 0 {
		return fault(BadRecord, "%s is too short or too long", what)
	}
	return nil
}

func u16(n int) []byte    { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func u16s(numbers ...int) []byte {
	var b []byte
	for _, n := range numbers {
		b = append(b, u16(n)...)
	}
	return b
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// withLength is a value behind its length in two bytes.
func withLength(value []byte) []byte { return join(u16(len(value)), value) }

func tlv(tag byte, value []byte) []byte { return join([]byte{tag}, withLength(value)) }

// A message keeps its encoding, which is what goes into transcripts.
type message struct {
	kind  byte
	raw   []byte
	value map[byte][]byte
}

func (m *message) has(tag byte) bool { _, there := m.value[tag]; return there }

func encodeMessage(kind byte, body ...[]byte) []byte {
	b := join(body...)
	return join([]byte{kind, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b)
}

// splitMessages takes whole messages, back to back, to the end of the bytes.
func splitMessages(b []byte) ([]*message, error) {
	var all []*message
	r := &reader{rest: b}
	for r.more() {
		start := r.rest
		kind, length := byte(r.u8()), r.u24()
		if !r.bad && length+4 > maxMessage {
			return nil, fault(TooLarge, "a message of %d bytes", length+4)
		}
		body := r.take(length)
		if r.bad {
			break
		}
		shape, known := shapes[kind]
		if !known {
			return nil, fault(BadRecord, "unknown message type %d", kind)
		}
		value, err := parseFields(body, shape, false)
		if err != nil {
			return nil, err
		}
		all = append(all, &message{kind, start[:4+length], value})
	}
	return all, r.done("a flight")
}

// parseFields takes a body apart.  Closed shapes (a certificate's) have no unknown tags at all.
func parseFields(body []byte, shape fields, closed bool) (map[byte][]byte, error) {
	value := map[byte][]byte{}
	last := -1
	r := &reader{rest: body}
	for r.more() {
		tag := r.u8()
		content := r.take(r.u16())
		if r.bad {
			break
		}
		if tag <= last {
			return nil, fault(BadRecord, "tag %d is not ascending", tag)
		}
		last = tag
		if _, known := shape[byte(tag)]; known {
			value[byte(tag)] = content
		} else if tag < 0x80 || closed {
			return nil, fault(BadRecord, "unknown tag %d", tag)
		}
	}
	if err := r.done("a body"); err != nil {
		return nil, err
	}
	for tag, must := range shape {
		if _, there := value[tag]; must && !there {
			return nil, fault(BadRecord, "tag %d is missing", tag)
		}
	}
	return value, nil
}

// sized gives a field that has exactly n bytes.
func (m *message) sized(tag byte, n int) ([]byte, error) {
	if len(m.value[tag]) != n {
		return nil, fault(BadRecord, "message %d: tag %d has %d bytes", m.kind, tag, len(m.value[tag]))
	}
	return m.value[tag], nil
}

// number gives a field that is one unsigned integer of n bytes.
func (m *message) number(tag byte, n int) (uint64, error) {
	b, err := m.sized(tag, n)
	if err != nil {
		return 0, err
	}
	var number uint64
	for _, digit := range b {
		number = number<<8 | uint64(digit)
	}
	return number, nil
}

// numbers gives a field that is a list of u16.
func (m *message) numbers(tag byte) ([]int, error) {
	r := &reader{rest: m.value[tag]}
	var all []int
	for r.more() {
		all = append(all, r.u16())
	}
	return all, r.done("a list")
}

// numbered takes apart a field that begins with a u16: a share, a public key, a signature.
func numbered(b []byte) (int, []byte, error) {
	r := &reader{rest: b}
	number := r.u16()
	if r.bad {
		return 0, nil, fault(BadRecord, "a field without its number")
	}
	return number, r.rest, nil
}
