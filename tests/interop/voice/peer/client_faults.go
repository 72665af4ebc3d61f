package main

import (
	"errors"
	"slices"
)

// What a client does wrong when a test asks for it by name (-fault).  Each name is one fault and nothing else.

var clientFaults = []string{
	// in the handshake
	"binding none", "binding type 2", "binding value", "codec", "duplicate group", "finished", "flight tampered",
	"hello first byte", "hello frame", "hello text", "hello too large", "hello trailing", "metadata",
	"second hello differs", "share length", "share mlkem", "share x25519", "unknown tag", "version",
	// in its credential
	"certificate none", "certificate other", "certificate short", "key algorithm", "key garbage", "key short",
	"key small order", "kind unknown", "none with a value", "verify algorithm", "verify missing", "verify string",
	"verify tampered", "verify transcript", "verify unasked",
	// with a ticket
	"psk", "second ticket differs", "second ticket missing", "token with ticket",
	// behind it
	"all padding", "close without a word", "counter", "drop", "flood", "gap", "header", "old epoch", "plain", "replayed",
	"response", "step epoch", "step group", "step share", "step twice", "switch", "tampered", "text", "ticket",
	"too large", "too large audio", "unknown type", "wrong direction",
}

func (h *clientHandshake) versions() []int {
	if h.fault == "version" {
		return []int{2}
	}
	return []int{1}
}

// spoilShare works on X25519MLKEM768: the ML-KEM key is first.
func (h *clientHandshake) spoilShare(share []byte) []byte {
	share = slices.Clone(share)
	switch h.fault {
	case "share length":
		return share[1:]
	case "share mlkem": // two coefficients of 4 095, which is no less than 3 329
		copy(share, []byte{0xFF, 0xFF, 0xFF})
	case "share x25519":
		clear(share[len(share)-32:])
	}
	return share
}

func (h *clientHandshake) spoilShares(shares []byte) []byte {
	if h.fault == "duplicate group" {
		return join(shares, shares)
	}
	return shares
}

func (h *clientHandshake) spoilHello() []byte {
	switch h.fault {
	case "unknown tag":
		return tlv(7, nil)
	case "hello too large":
		return tlv(0x80, make([]byte, maxMessage))
	}
	return nil
}

// ticketField is tag 5, nothing without a ticket.
func (h *clientHandshake) ticketField() []byte {
	switch {
	case h.ticket == nil, h.result.Retried && h.fault == "second ticket missing":
		return nil
	case h.result.Retried && h.fault == "second ticket differs":
		return tlv(5, make([]byte, len(h.ticket.Ticket)))
	}
	return tlv(5, h.ticket.Ticket)
}

func (h *clientHandshake) spoilPSK(psk []byte) []byte {
	psk = slices.Clone(psk)
	if h.fault == "psk" {
		psk[0] ^= 1
	}
	return psk
}

func (h *clientHandshake) sendHello(hello []byte) error {
	switch h.fault {
	case "hello text":
		return h.ws.write(opText, []byte("hello"))
	case "hello first byte":
		return h.ws.send(join([]byte{2}, hello))
	case "hello frame":
		return h.ws.send(join(sframeHeader(16, 0), make([]byte, 40)))
	case "hello trailing":
		return h.ws.send(join([]byte{0}, hello, []byte{0}))
	}
	return h.ws.send(join([]byte{0}, hello))
}

func (h *clientHandshake) spoilParams(parameters []byte) []byte {
	switch h.fault {
	case "codec":
		return join(tlv(1, []byte{99}), tlv(2, []byte{99}), tlv(3, []byte{h.frameMilliseconds}))
	case "metadata":
		return join(parameters, tlv(4, []byte("[]")))
	}
	return parameters
}

var errDropped = errors.New("dropped on purpose")

// misbehave does it in a session; done says that nothing else is to be sent in this tick.
func (c *client) misbehave() (done bool, err error) {
	s := c.session
	if c.misbehaved {
		return true, nil
	}
	if c.fault == "old epoch" && s.send.epoch == 1 {
		if c.step == nil {
			return true, c.beginStep(2)
		}
		return false, nil
	}
	c.misbehaved = true
	audio := join([]byte{0}, c.frame(0))
	switch c.fault {
	case "drop":
		return true, errDropped
	case "close without a word":
		s.ws.close(Normal)
		return true, nil
	case "text":
		return true, s.ws.write(opText, []byte("hello"))
	case "plain":
		return true, s.ws.send(join([]byte{0}, encodeMessage(rekeyRequest)))
	case "flood":
		for range 400 {
			s.sendFrame(framePing, make([]byte, 8)) // it may be over before the last one
		}
		return true, nil
	case "switch":
		return true, s.sendFrame(frameSwitch, u32(2))
	case "step epoch":
		return true, c.beginStep(3)
	case "step twice":
		return true, errors.Join(c.beginStep(2), s.sendFrame(frameHandshake, c.step.init))
	case "step group":
		return true, c.sendInit(groupX25519, make([]byte, 32))
	case "step share":
		return true, c.sendInit(groupOf[s.suite], make([]byte, 1_216))
	case "response":
		return true, s.sendFrame(frameHandshake, encodeMessage(rekeyResponse, tlv(1, u32(2)), tlv(2, u16(groupX25519))))
	case "ticket":
		return true, s.sendFrame(frameHandshake, encodeMessage(newTicket, tlv(1, u32(9)), tlv(2, nil)))
	case "unknown type":
		return true, s.sendFrame(0x20, audio)
	case "wrong direction":
		return true, s.sendFrame(frameClear, nil)
	case "too large audio":
		return true, s.sendFrame(frameAudio, make([]byte, 9_000))
	}
	return true, c.spoilRecord(audio)
}

func (c *client) sendInit(group int, share []byte) error {
	return c.session.sendFrame(frameHandshake, encodeMessage(rekeyInit, tlv(1, u32(2)), tlv(2, join(u16(group), share))))
}

// spoilRecord does what only records can suffer.
func (c *client) spoilRecord(audio []byte) error {
	s := c.session
	s.send = s.send.ready()
	limit, counter := s.send.limit, s.send.counter
	plaintext := pad(1, frameAudio, audio)
	record := s.send.sealAs(counter, plaintext)
	switch c.fault {
	case "tampered":
		record[len(record)-1] ^= 1
	case "replayed":
		if err := s.ws.send(record); err != nil {
			return err
		}
	case "gap":
		record = s.send.sealAs((counter+1)%limit, plaintext)
	case "counter":
		record = s.send.sealAs(limit, plaintext)
	case "header": // the counter in eight bytes
		record = join([]byte{record[0] | 15, byte(s.send.kid())}, u64(counter), record[len(record)-len(plaintext)-tagBytes:])
	case "all padding":
		record = s.send.sealAs(counter, make([]byte, 88))
	case "too large":
		record = join(sframeHeader(s.send.kid(), counter), make([]byte, maxRecord))
	case "old epoch":
		record = s.oldSend.sealAs(s.oldSend.counter, plaintext)
	}
	return s.ws.send(record)
}
