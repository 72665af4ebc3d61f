package main

import (
	"strings"
	"time"
)

// What a server does wrong on a route of that name.  Each name is one fault and nothing else.

func isRetryFault(fault string) bool { return strings.HasPrefix(fault, "retry-") }

// selection is the header of the upgrade's answer that names the subprotocol.
func selection(target string) string {
	if target == "/v1/voice/nothing-selected" {
		return ""
	}
	return "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
}

func (c *serving) spoilRetry(group int) int {
	switch c.fault {
	case "retry-had": // the client's first hello has this one
		return groupX25519MLKEM768
	case "retry-unknown":
		return 0x7777
	case "retry-unoffered":
		return groupP384
	case "retry-twice":
		return groupSecP384r1MLKEM1024
	}
	return group
}

func (c *serving) spoilHello(fields [][]byte) [][]byte {
	share := fields[3][3:] // group and bytes
	if c.resumption != nil {
		switch c.fault {
		case "resumed-suite": // of the same group
			fields[1] = tlv(2, u16(suiteX25519MLKEM768Cha))
		case "resumed-zero":
			fields[4] = tlv(5, []byte{0})
		case "resumed-long":
			fields[4] = tlv(5, []byte{1, 1})
		}
	}
	switch c.fault {
	case "hello-version":
		fields[0] = tlv(1, u16(2))
	case "hello-suite":
		fields[1] = tlv(2, u16(suiteX25519))
	case "hello-ticket":
		fields = append(fields, tlv(5, []byte{1}))
	case "hello-tag":
		fields = append(fields, tlv(6, nil))
	case "share-group":
		fields[3] = tlv(4, join(u16(groupX25519), share[2:]))
	case "share-length":
		fields[3] = tlv(4, share[:len(share)-1])
	case "share-x25519":
		clear(share[len(share)-32:])
	}
	return fields
}

func (c *serving) spoilParams(p params) params {
	if c.resumption != nil {
		switch c.fault {
		case "resumed-kinds":
			p.kinds = []byte{kindToken}
		case "resumed-more-kinds":
			p.kinds = []byte{kindNone, kindToken}
		case "resumed-never":
			p.reauthEvery = 0
		case "resumed-rarely":
			p.reauthEvery++
		}
	}
	switch c.fault {
	case "params-epoch":
		p.epochSeconds = 1
	case "params-key":
		p.perKey = 15
	case "params-padding":
		p.padding = 3
	case "params-codec":
		p.codecs = []byte{99}
	case "params-no-codec":
		p.codecs = nil
	case "params-kinds":
		p.kinds = []byte{2}
	}
	return p
}

func (c *serving) spoilPSK(psk []byte) []byte {
	switch {
	case c.resumption == nil || c.fault != "resumed-psk" && c.fault != "resumed-no-psk":
		return psk
	case c.fault == "resumed-no-psk":
		return nil
	}
	return hash(psk)
}

func (c *serving) spoilNumber(perEpoch int) int {
	switch {
	case c.fault == "ticket-many":
		return perEpochMax + 1
	case c.fault == "ticket-between" && !c.stepping:
		return 0
	}
	return perEpoch
}

func (c *serving) spoilTicket(lifetime uint32, ticket []byte) []byte {
	switch c.fault {
	case "ticket-lifetime":
		lifetime = ticketHour + 1
	case "ticket-none":
		lifetime = 0
	case "ticket-long":
		ticket = make([]byte, maxTicket+1)
	}
	m := encodeMessage(newTicket, tlv(1, u32(lifetime)), tlv(2, ticket))
	if c.fault == "ticket-pair" {
		return join(m, m)
	}
	return m
}

func (c *serving) spoilCertificate(i issuing) issuing {
	day := 24 * time.Hour
	switch c.fault {
	case "certificate-expired":
		i.from, i.until = time.Now().Add(-2*day), time.Now().Add(-time.Hour)
	case "certificate-early":
		i.from, i.until = time.Now().Add(time.Hour), time.Now().Add(2*day)
	case "certificate-long":
		i.from, i.until = time.Now().Add(-day), time.Now().Add(90*day)
	case "certificate-host":
		i.authorities = []string{"voice.example.com", "*.localhost"}
	case "certificate-anchor":
		i.anchor = c.stranger
	case "certificate-signature":
		i.anchor = &pair{classical: c.stranger.classical, pq: c.anchor.pq, pqAlg: c.anchor.pqAlg}
	}
	return i
}

func (c *serving) spoilProof(p *proof) {
	switch c.fault {
	case "proof-classical":
		p.signature[len(p.signature)-1] ^= 1
	case "proof-pq":
		p.pqSignature[40] ^= 1
	case "proof-no-pq":
		p.pqSignature = nil
	case "proof-path":
		p.path, p.directions = append(p.path, make([]byte, 48)...), append(p.directions, 1)
	case "proof-direction":
		p.path, p.directions = append(p.path, make([]byte, 48)...), append(p.directions, 2)
	case "proof-long":
		p.path, p.directions = make([]byte, 17*48), make([]byte, 17)
	}
}

// does says whether a fault is to be committed, which `resumed-` before its name keeps for resumed sessions.
func (c *serving) does(fault string) bool {
	return c.fault == fault || c.fault == "resumed-"+fault && c.resumption != nil
}

func (c *serving) spoilResponse(epoch uint32, group int, share []byte) []byte {
	switch c.fault {
	case "step-epoch":
		epoch++
	case "step-group":
		group = groupX25519
	case "step-share":
		share = make([]byte, len(share))
	}
	return encodeMessage(rekeyResponse, tlv(1, u32(epoch)), tlv(2, join(u16(group), share)))
}

// misbehave does it in a session, once; done says that the frame is not to be echoed.
func (c *serving) misbehave(f frame) (done bool, err error) {
	s := c.session
	if c.spoiled {
		return false, nil
	}
	c.spoiled = true
	s.send = s.send.ready()
	limit, counter := s.send.limit, s.send.counter
	plaintext := pad(1, frameAudio, f.payload)
	record := s.send.sealAs(counter, plaintext)
	switch {
	case strings.HasPrefix(c.fault, "step-"), strings.HasPrefix(c.fault, "resumed-step-"), c.fault == "ticket-between": // do it now
		return false, s.sendFrame(frameHandshake, encodeMessage(rekeyRequest))
	case c.fault == "tampered":
		record[len(record)-1] ^= 1
	case c.fault == "replayed":
		s.ws.send(record)
	case c.fault == "gap":
		record = s.send.sealAs((counter+1)%limit, plaintext)
	case c.fault == "counter":
		record = s.send.sealAs(limit, plaintext)
	case c.fault == "header":
		record = join([]byte{record[0] | 15, byte(s.send.kid())}, u64(counter), record[len(record)-len(plaintext)-tagBytes:])
	case c.fault == "all-padding":
		record = s.send.sealAs(counter, make([]byte, 88))
	case c.fault == "too-large":
		record = join(sframeHeader(s.send.kid(), counter), make([]byte, maxRecord))
	case c.fault == "too-large-audio":
		record = s.send.sealAs(counter, pad(0, frameAudio, make([]byte, 9_000)))
	case c.fault == "unknown-type":
		record = s.send.sealAs(counter, pad(1, 0x20, nil))
	case c.fault == "wrong-direction":
		record = s.send.sealAs(counter, pad(1, frameMute, []byte{1}))
	case c.fault == "switch":
		record = s.send.sealAs(counter, pad(1, frameSwitch, u32(2)))
	case c.fault == "response":
		m := encodeMessage(rekeyResponse, tlv(1, u32(2)), tlv(2, u16(groupX25519)))
		record = s.send.sealAs(counter, pad(1, frameHandshake, m))
	case c.fault == "init":
		m := encodeMessage(rekeyInit, tlv(1, u32(2)), tlv(2, u16(groupX25519)))
		record = s.send.sealAs(counter, pad(1, frameHandshake, m))
	case c.fault == "plain":
		record = join([]byte{0}, encodeMessage(rekeyRequest))
	case c.fault == "session-text":
		return true, s.ws.write(opText, []byte("hello"))
	case c.fault == "drop":
		return true, errDropped
	case c.fault == "close-without-a-word":
		s.ws.close(Normal)
		return true, nil
	default:
		return false, nil
	}
	return true, s.ws.send(record)
}
