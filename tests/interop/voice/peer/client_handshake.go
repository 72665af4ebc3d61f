package main

import (
	"crypto/hmac"
	"crypto/rand"
	"net"
	"slices"
	"time"
)

// The client's side of the handshake, protocol text §3.

const handshakeTime = 5 * time.Second

type clientHandshake struct {
	*client
	transcript transcript
	random     []byte
	shares     map[int]finish
	ticket     *storedTicket // offered
	resumed    *storedTicket // accepted
	end        time.Time
}

// handshake runs from ClientHello to ClientFinished.
func (c *client) handshake(exporter []byte) error {
	h := &clientHandshake{client: c, random: make([]byte, 32), shares: map[int]finish{}}
	h.binding = 1
	h.end = time.Now().Add(handshakeTime)
	rand.Read(h.random)
	switch {
	case c.unbound, c.fault == "binding none":
		h.binding, exporter = 0, nil
	case c.fault == "binding type 2":
		h.binding = 2
	case c.fault == "binding value":
		exporter[0] ^= 1
	}
	h.transcript.prologue = prologue(h.binding, exporter, []byte(lowered(c.authority)), []byte(c.target))
	h.ticket = h.pickTicket()
	h.result.Offered = h.ticket != nil
	groups := []int{}
	if !c.withoutShares {
		groups = append(groups, groupOf[c.suites[0]])
	}
	m, err := h.exchangeHello(groups)
	if err != nil {
		return err
	}
	if m.kind == helloRetry {
		if m, err = h.retry(m); err != nil {
			return err
		}
		if m.kind == helloRetry {
			return fault(BadRecord, "a second HelloRetry")
		}
	}
	keys, err := h.agree(m)
	if err != nil {
		return err
	}
	err = h.takeFlight(keys)
	if f, own := err.(*Fault); own && f.Code == AuthFailed && (c.fault == "binding value" || c.fault == "psk") {
		// A client with a wrong binding or a wrong psk has no keys; what it sends on does not open at the server.
		c.ws.send(sealFlight(keys.suite, keys.client, encodeMessage(clientParams)))
		return h.waitForEnd()
	}
	if err != nil {
		return err
	}
	return h.sendFlight(keys)
}

// exchangeHello sends a ClientHello with fresh shares of these groups and takes the answer.
func (h *clientHandshake) exchangeHello(groups []int) (*message, error) {
	var shares []byte
	for _, group := range groups {
		share, finish, err := offer(group)
		if err != nil {
			return nil, err
		}
		h.shares[group] = finish
		shares = join(shares, u16(group), withLength(h.spoilShare(share)))
	}
	extra := []byte{byte(0x80 + below(128))}
	ignored := make([]byte, below(9))
	body := join(tlv(1, u16s(h.versions()...)), tlv(2, u16s(h.suites...)), tlv(3, h.random), tlv(4, h.spoilShares(shares)),
		h.ticketField(), tlv(6, []byte{h.binding}), h.spoilHello(), tlv(extra[0], ignored))
	hello := encodeMessage(clientHello, body)
	if err := h.transcript.add(hello); err != nil {
		return nil, err
	}
	if err := h.sendHello(hello); err != nil {
		return nil, err
	}
	record, err := h.read()
	if err != nil {
		return nil, err
	}
	m, err := onePlain(record)
	if err == nil && m.kind != serverHello && m.kind != helloRetry {
		err = fault(BadRecord, "message %d in place of ServerHello", m.kind)
	}
	return m, err
}

// onePlain takes a plain record with its one message.
func onePlain(record []byte) (*message, error) {
	if len(record) == 0 || record[0] != 0 {
		return nil, fault(BadRecord, "not a plain message")
	}
	messages, err := splitMessages(record[1:])
	if err == nil && len(messages) != 1 {
		err = fault(BadRecord, "%d plain messages in one record", len(messages))
	}
	if err != nil {
		return nil, err
	}
	return messages[0], nil
}

func (h *clientHandshake) retry(m *message) (*message, error) {
	group, err := m.number(1, 2)
	if err != nil {
		return nil, err
	}
	_, had := h.shares[int(group)]
	if had || !slices.ContainsFunc(h.suites, func(suite int) bool { return groupOf[suite] == int(group) }) {
		return nil, fault(IllegalShare, "HelloRetry for group %04x", group)
	}
	h.result.Retried = true
	h.transcript.retried()
	if err := h.transcript.add(m.raw); err != nil {
		return nil, err
	}
	h.shares = map[int]finish{}
	if h.fault == "second hello differs" {
		h.random[0] ^= 1
	}
	return h.exchangeHello([]int{int(group)})
}

// agree takes ServerHello.
func (h *clientHandshake) agree(m *message) (*handshakeKeys, error) {
	version, err := m.number(1, 2)
	if err != nil {
		return nil, err
	}
	suite, err := m.number(2, 2)
	if err != nil {
		return nil, err
	}
	if _, err := m.sized(3, 32); err != nil {
		return nil, err
	}
	group, share, err := numbered(m.value[4])
	if err != nil {
		return nil, err
	}
	finish, had := h.shares[group]
	switch {
	case m.has(5) && (string(m.value[5]) != "\x01" || h.ticket == nil || h.ticket.Suite != int(suite)):
		return nil, fault(BadRecord, "a ticket accepted that was not offered, or under another suite")
	case version != 1 || !slices.Contains(h.suites, int(suite)):
		return nil, fault(NoCommonSuite, "version %04x, suite %04x", version, suite)
	case group != groupOf[int(suite)] || !had:
		return nil, fault(IllegalShare, "a share of group %04x", group)
	}
	agreed, err := finish(share)
	if err != nil {
		return nil, err
	}
	if err := h.transcript.add(m.raw); err != nil {
		return nil, err
	}
	h.result.Suite = int(suite)
	var psk []byte
	if m.has(5) {
		h.resumed, psk = h.ticket, h.spoilPSK(h.ticket.PSK)
	}
	h.letGo(h.ticket)
	return newHandshakeKeys(int(suite), psk, agreed, h.transcript.hash()), nil
}

// takeFlight checks who the server is, and only then what it asks for.
func (h *clientHandshake) takeFlight(keys *handshakeKeys) error {
	record, err := h.read()
	if err != nil {
		return err
	}
	flight, err := openFlight(keys.suite, keys.server, record)
	if err != nil {
		return err
	}
	expected := []byte{serverParams, serverCertificate, serverVerify, serverFinished}
	if h.resumed != nil {
		expected = []byte{serverParams, serverFinished}
	}
	messages, err := inOrder(flight, expected...)
	if err != nil {
		return err
	}
	if err := h.transcript.add(messages[0].raw); err != nil {
		return err
	}
	if h.resumed != nil {
		h.certificate, err = parseCertificate(h.resumed.Certificate)
	} else {
		err = h.takeIdentity(messages[1], messages[2])
	}
	if err != nil {
		return err
	}
	finished := messages[len(messages)-1]
	mac, err := finished.sized(1, 48)
	if err != nil {
		return err
	}
	if !hmac.Equal(mac, finishedMAC(keys.server, h.transcript.hash())) {
		return fault(AuthFailed, "ServerFinished is wrong")
	}
	if err := h.transcript.add(finished.raw); err != nil {
		return err
	}
	return h.takeParams(messages[0])
}

// takeIdentity takes the certificate and the proof.
func (h *clientHandshake) takeIdentity(identity, proof *message) error {
	if err := h.transcript.add(identity.raw); err != nil {
		return err
	}
	certificate, err := parseCertificate(identity.value[1])
	if err != nil {
		return err
	}
	if err := h.trust.check(certificate, h.startedAt); err != nil {
		return err
	}
	if err := certificate.checkProof(proof, saysVerify, verifyLeaf(h.transcript.hash())); err != nil {
		return err
	}
	h.certificate, h.verifiedAt = certificate, h.startedAt
	h.result.PQ, h.result.Nodes = certificate.pq != nil, len(proof.value[2])
	return h.transcript.add(proof.raw)
}

// inOrder splits a flight that has exactly these messages.
func inOrder(flight []byte, kinds ...byte) ([]*message, error) {
	messages, err := splitMessages(flight)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(messages, kinds, func(m *message, kind byte) bool { return m.kind == kind }) {
		return nil, fault(BadRecord, "other messages than %v in the flight", kinds)
	}
	return messages, nil
}

func (h *clientHandshake) takeParams(m *message) error {
	var numbers [8]uint64
	for tag, size := range map[byte]int{2: 2, 3: 4, 4: 1, 6: 1} {
		value, err := m.number(tag, size)
		if err != nil {
			return err
		}
		numbers[tag] = value
	}
	if _, err := m.sized(1, 16); err != nil {
		return err
	}
	h.params = params{
		int(numbers[2]), numbers[3], byte(numbers[4]), m.value[5], byte(numbers[6]), m.value[7],
	}
	kind, _ := h.credential()
	h.fullReauth = h.params.reauthEvery
	if h.resumed != nil {
		h.result.Resumed = true
		h.fullReauth, h.verifiedAt = h.resumed.Reauthenticate, h.resumed.Verified
		switch own, full := h.params.reauthEvery, h.resumed.Reauthenticate; {
		case string(h.params.kinds) != "\x00":
			return fault(Policy, "a credential wanted beside a ticket")
		case full != 0 && (own == 0 || own > full):
			return fault(Policy, "fewer proofs than in the full handshake")
		}
		kind = kindNone
	}
	switch {
	case len(h.params.codecs) == 0:
		return fault(BadRecord, "no codecs")
	case numbers[2] < 2 || numbers[2] > 3_600 || numbers[3] < 16 || numbers[3] > 65_536 || numbers[4] > 1:
		return fault(Policy, "parameters out of range: %v", numbers)
	case !slices.Contains(h.params.codecs, h.codec) || !slices.Contains(h.params.kinds, kind):
		return fault(Policy, "the server does not take this codec or credential")
	}
	return nil
}

// sendFlight is the client's answer; behind it the session begins.
func (h *clientHandshake) sendFlight(keys *handshakeKeys) error {
	parameters := join(tlv(1, []byte{h.codec}), tlv(2, []byte{h.codec}), tlv(3, []byte{h.frameMilliseconds}))
	if h.metadata != "" {
		parameters = join(parameters, tlv(4, []byte(h.metadata)))
	}
	parameters = h.spoilParams(parameters)
	flight := encodeMessage(clientParams, parameters)
	if err := h.transcript.add(flight); err != nil {
		return err
	}
	credential, err := h.showCredential()
	if err != nil {
		return err
	}
	flight = join(flight, credential)
	mac := finishedMAC(keys.client, h.transcript.hash())
	if h.fault == "finished" {
		mac[0] ^= 1
	}
	last := encodeMessage(clientFinished, tlv(1, mac))
	if err := h.transcript.add(last); err != nil {
		return err
	}
	record := sealFlight(keys.suite, keys.client, join(flight, last))
	if h.fault == "flight tampered" {
		record[len(record)-1] ^= 1
	}
	if err := h.ws.send(record); err != nil {
		return &Ended{CloseCode: 1006}
	}
	h.ws.conn.SetReadDeadline(time.Time{})
	h.session = newSession(h.ws, true, keys.suite, h.params, h.codec, firstEpoch(keys, h.transcript.hash()), h.result)
	return nil
}

// read gives the next record of the handshake.
func (h *clientHandshake) read() ([]byte, error) { return readHandshake(h.ws, h.end) }

func readHandshake(ws *webSocket, end time.Time) ([]byte, error) {
	ws.conn.SetReadDeadline(end)
	r, err := ws.read()
	if timeout, is := err.(net.Error); is && timeout.Timeout() {
		return nil, fault(Expired, "the handshake took too long")
	}
	if gone := (carried{r, err}).gone(); gone != nil {
		return nil, gone
	}
	if r.op != opBinary {
		return nil, fault(BadRecord, "a text message")
	}
	return r.data, nil
}

// waitForEnd is for a handshake that cannot succeed: the server has to say so.
func (h *clientHandshake) waitForEnd() error {
	for {
		if _, err := h.read(); err != nil {
			return err
		}
	}
}
