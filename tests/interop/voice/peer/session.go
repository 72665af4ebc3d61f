package main

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// A session after its handshake, what both sides have in common: protocol text §7 on an ordered carrier.

type params struct {
	epochSeconds int
	perKey       uint64
	padding      byte
	codecs       []byte
	reauthEvery  byte
	kinds        []byte
}

// wait is how long the server wants between two RekeyInit.
func (p *params) wait() time.Duration {
	return min(10*time.Second, time.Duration(p.epochSeconds)*time.Second/2)
}

func (p *params) epoch() time.Duration { return time.Duration(p.epochSeconds) * time.Second }

// A session is used by one goroutine; another one reads the carriage for it.
type session struct {
	ws       *webSocket
	isClient bool
	suite    int
	params   params
	codec    byte

	keys          *epochKeys
	send, receive *chain
	// The next epoch's chains, once the step has agreed on them and until they are in use.
	nextSend, nextReceive *chain
	oldSend               *chain    // kept for one fault; a real peer erases it
	began                 time.Time // of the epoch it sends under
	small                 bucket
	unanswered            int // marks, at a server
	result                *result
}

// A result is what a peer says of a session, as one line of JSON.
type result struct {
	Role       string `json:"role"`
	Target     string `json:"target,omitempty"`
	Group      string `json:"group,omitempty"` // of TLS
	Suite      int    `json:"suite"`
	Retried    bool   `json:"retried"`
	PQ         bool   `json:"pq"`    // the certificate has a PQ key
	Nodes      int    `json:"nodes"` // of ServerVerify's path
	Epochs     uint32 `json:"epochs"`
	Verified   int    `json:"verified"` // RekeyVerify, made or checked
	Turned     uint64 `json:"turned"`   // generations of what it sent
	PeerTurned uint64 `json:"peer_turned"`
	Sent       int    `json:"sent"` // frames of audio
	Received   int    `json:"received"`
	Identical  bool   `json:"identical,omitempty"` // at a client: all came back, and as it was
	Code       Code   `json:"code"`
	By         string `json:"by"` // self, peer (a frame of type 7), carriage
	CloseCode  int    `json:"close_code,omitempty"`
	Why        string `json:"why,omitempty"`
	Metadata   string `json:"metadata,omitempty"`
	Offered    bool   `json:"offered"` // a ticket
	Resumed    bool   `json:"resumed"`
	Tickets    int    `json:"tickets"` // given, or received
}

func newSession(ws *webSocket, isClient bool, suite int, p params, codec byte, keys *epochKeys, r *result) *session {
	s := &session{ws: ws, isClient: isClient, suite: suite, params: p, codec: codec, result: r}
	s.send, s.receive = s.chains(keys)
	s.keys = keys
	s.began = time.Now()
	s.result.Epochs = 1
	return s
}

func (s *session) chains(keys *epochKeys) (send, receive *chain) {
	up := newChain(s.suite, keys.number, keys.c2s, s.params.perKey)
	down := newChain(s.suite, keys.number, keys.s2c, s.params.perKey)
	up.resumption, down.resumption = keys.resumption, keys.resumption
	if s.isClient {
		return up, down
	}
	return down, up
}

var errAged = errors.New("the epoch is too old for this frame")

// seal makes a record, or says that the epoch's age forbids it.
func (s *session) seal(kind byte, payload []byte) ([]byte, error) {
	if !slices.Contains([]byte{frameSwitch, frameHandshake, frameClose}, kind) && s.age() >= s.params.epoch() {
		return nil, errAged
	}
	before := s.send.generation
	record, next := s.send.seal(pad(s.params.padding, kind, payload))
	s.send = next
	s.result.Turned += next.generation - before
	return record, nil
}

func (s *session) age() time.Duration { return time.Since(s.began) }

func (s *session) sendFrame(kind byte, payload []byte) error {
	record, err := s.seal(kind, payload)
	if err != nil {
		return err
	}
	return s.ws.send(record)
}

// open takes a record to the frame in it.
func (s *session) open(r received) (frame, error) {
	if r.op != opBinary {
		return frame{}, fault(BadRecord, "a text message")
	}
	before := s.receive.generation
	plaintext, next, err := s.receive.open(r.data)
	if err != nil {
		return frame{}, err
	}
	s.receive = next
	s.result.PeerTurned += next.generation - before
	f, err := parseFrame(plaintext, len(r.data), s.isClient, s.codec)
	if err != nil {
		return f, err
	}
	echo := f.kind == frameMark && s.unanswered > 0
	if echo {
		s.unanswered--
	}
	if f.draws(echo) && !s.small.takes(time.Now()) {
		return f, fault(RateLimited, "too many small frames")
	}
	return f, nil
}

// common handles the frames that mean the same at both sides; the others are the caller's.
func (s *session) common(f frame) (done bool, err error) {
	switch f.kind {
	case frameSwitch:
		return true, s.switchReceive(epochOf(f.payload))
	case framePing:
		if err := s.sendFrame(framePong, f.payload); err != nil && err != errAged {
			return true, err
		}
		return true, nil
	case frameClose:
		return true, &Ended{Code: Code(binary.BigEndian.Uint16(f.payload))}
	case framePong, frameJSON, frameDTMF, frameCover:
		return true, nil
	}
	return f.kind >= 0x80, nil
}

func (s *session) switchReceive(epoch uint32) error {
	if s.nextReceive == nil || s.nextReceive.epoch != epoch {
		return fault(RekeyProtocol, "a switch to epoch %d", epoch)
	}
	s.receive, s.nextReceive = s.nextReceive, nil
	return nil
}

// switchSend says the last word under the old epoch, and the first under the new one.
func (s *session) switchSend() error {
	if err := s.sendFrame(frameSwitch, u32(s.nextSend.epoch)); err != nil {
		return err
	}
	s.oldSend, s.send, s.nextSend = s.send, s.nextSend, nil
	s.began = time.Now()
	s.result.Epochs = s.send.epoch
	return s.sendFrame(framePing, []byte("switched"))
}

// listen reads messages in the background until the carriage ends; closing stop lets it go.
func (s *session) listen(stop <-chan struct{}) <-chan carried {
	all := make(chan carried)
	go func() {
		for {
			message, err := s.ws.read()
			select {
			case all <- carried{message, err}:
			case <-stop:
				return
			}
			if err != nil || message.op == opClose {
				return
			}
		}
	}()
	return all
}

type carried struct {
	received
	err error
}

// gone is how a session ends whose carriage has ended.
func (c carried) gone() error {
	switch {
	case c.err != nil:
		return &Ended{CloseCode: 1006}
	case c.op == opClose:
		return &Ended{CloseCode: c.code}
	}
	return nil
}

// finish ends the session with what has happened, and the carriage after it.
func (s *session) finish(happened error, incoming <-chan carried) {
	s.result.note(happened)
	var ended *Ended
	if !errors.As(happened, &ended) {
		s.sendFrame(frameClose, u16(int(s.result.Code)))
	} else if ended.CloseCode != 0 {
		return
	}
	s.ws.close(s.result.Code)
	for late := time.After(5 * time.Second); ; {
		select {
		case c := <-incoming:
			if gone := c.gone(); gone != nil {
				s.result.CloseCode = gone.(*Ended).CloseCode
				return
			}
		case <-late:
			return
		}
	}
}

// note writes down how it ended.
func (r *result) note(happened error) {
	var own *Fault
	var ended *Ended
	switch {
	case errors.As(happened, &own):
		r.Code, r.By, r.Why = own.Code, "self", own.Why
	case errors.As(happened, &ended) && ended.Code != 0:
		r.Code, r.By = ended.Code, "peer"
	case ended != nil:
		r.Code, r.CloseCode, r.By = Code(ended.CloseCode), ended.CloseCode, "carriage"
	case happened != nil:
		r.Code, r.By, r.Why = Internal, "self", happened.Error()
	default:
		r.Code, r.By = Normal, "self"
	}
}

// oneStep takes the messages of a frame of type 6: RekeyResponse with or without RekeyVerify, or one of any kind.
func oneStep(payload []byte) ([]*message, error) {
	messages, err := splitMessages(payload)
	if err != nil {
		return nil, err
	}
	switch {
	case len(messages) == 1:
	case len(messages) == 2 && messages[0].kind == rekeyResponse && messages[1].kind == rekeyVerify:
	default:
		return nil, fault(BadRecord, "%d messages in one frame", len(messages))
	}
	if messages[0].kind < rekeyInit {
		return nil, fault(BadRecord, "a message of the handshake in a frame")
	}
	return messages, nil
}

// stepShare takes apart RekeyInit or RekeyResponse, which look alike.
func (s *session) stepShare(m *message) ([]byte, error) {
	epoch, err := m.number(1, 4)
	if err != nil {
		return nil, err
	}
	group, share, err := numbered(m.value[2])
	switch {
	case err != nil:
		return nil, err
	case s.keys.number == 1<<32-1:
		return nil, fault(KeyLimit, "the last epoch")
	case uint32(epoch) != s.keys.number+1:
		return nil, fault(RekeyProtocol, "a step to epoch %d", epoch)
	case group != groupOf[s.suite]:
		return nil, fault(RekeyProtocol, "a step with group %04x", group)
	}
	return share, nil
}

// reauthenticates says whether the step from this epoch has a RekeyVerify.
func (s *session) reauthenticates() bool {
	return s.params.reauthEvery != 0 && s.keys.number%uint32(s.params.reauthEvery) == 0
}
