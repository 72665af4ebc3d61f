package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"slices"
	"time"
)

// The server's side of the handshake, protocol text §3.

type serverHandshake struct {
	*serving
	transcript transcript
	exporter   []byte
	prefix     func(binding byte) []byte
	end        time.Time
}

// A hello is a ClientHello, taken apart.
type hello struct {
	*message
	versions, suites []int
	shares           map[int][]byte
	binding          byte
}

// handshake runs from ClientHello to the verification of ClientFinished.
func (s *serving) handshake(exporter []byte) error {
	h := &serverHandshake{serving: s, exporter: exporter, end: time.Now().Add(handshakeTime)}
	if s.fault == "binding" {
		h.exporter[0] ^= 1
	}
	first, err := h.readHello()
	if err != nil {
		return err
	}
	if err := h.begin(first); err != nil {
		return err
	}
	suite, err := h.choose(first)
	if err != nil {
		return err
	}
	chosen := first
	if _, fits := first.shares[groupOf[suite]]; !fits || isRetryFault(s.fault) {
		if chosen, err = h.retry(first, suite); err != nil {
			return err
		}
	}
	keys, err := h.agree(chosen, suite)
	if err != nil {
		return err
	}
	if err := h.sendFlight(keys); err != nil {
		return err
	}
	return h.takeFlight(keys)
}

func (h *serverHandshake) readHello() (*hello, error) {
	record, err := readHandshake(h.ws, h.end)
	if err != nil {
		return nil, err
	}
	m, err := onePlain(record)
	if err != nil {
		return nil, err
	}
	if m.kind != clientHello {
		return nil, fault(BadRecord, "message %d in place of ClientHello", m.kind)
	}
	c := &hello{message: m, shares: map[int][]byte{}}
	if c.versions, err = m.numbers(1); err != nil {
		return nil, err
	}
	if c.suites, err = m.numbers(2); err != nil {
		return nil, err
	}
	if _, err = m.sized(3, 32); err != nil {
		return nil, err
	}
	binding, err := m.sized(6, 1)
	if err != nil {
		return nil, err
	}
	c.binding = binding[0]
	if len(m.value[5]) > maxTicket {
		return nil, fault(BadRecord, "a ticket of %d bytes", len(m.value[5]))
	}
	r := &reader{rest: m.value[4]}
	for r.more() {
		group := r.u16()
		share := r.take(r.u16())
		if _, twice := c.shares[group]; twice {
			return nil, fault(BadRecord, "group %04x twice", group)
		}
		c.shares[group] = share
	}
	return c, r.done("the list of shares")
}

// begin takes the first ClientHello into the transcript.
func (h *serverHandshake) begin(c *hello) error {
	binding := h.exporter
	switch c.binding {
	case 1:
	case 0:
		if !h.unbound {
			return fault(Policy, "a binding is wanted")
		}
		binding = nil
	default:
		return fault(WrongBinding, "binding type %d", c.binding)
	}
	h.serving.binding = c.binding
	h.transcript.prologue = prologue(c.binding, binding, []byte(lowered(h.authority)), []byte(h.target))
	return h.transcript.add(c.raw)
}

// choose takes the first suite of our order that the client offers with a share, or the first at all.
func (h *serverHandshake) choose(c *hello) (int, error) {
	if !slices.Contains(c.versions, 1) {
		return 0, fault(NoCommonSuite, "versions %v", c.versions)
	}
	common := slices.DeleteFunc(slices.Clone(h.suites), func(suite int) bool { return !slices.Contains(c.suites, suite) })
	if len(common) == 0 {
		return 0, fault(NoCommonSuite, "suites %v", c.suites)
	}
	for _, suite := range common {
		if _, there := c.shares[groupOf[suite]]; there {
			return suite, nil
		}
	}
	return common[0], nil
}

func (h *serverHandshake) retry(first *hello, suite int) (*hello, error) {
	h.result.Retried = true
	retry := encodeMessage(helloRetry, tlv(1, u16(h.spoilRetry(groupOf[suite]))))
	h.transcript.retried()
	if err := h.transcript.add(retry); err != nil {
		return nil, err
	}
	if err := h.ws.send(join([]byte{0}, retry)); err != nil {
		return nil, &Ended{CloseCode: 1006}
	}
	second, err := h.readHello()
	if err != nil {
		return nil, err
	}
	if h.fault == "retry-twice" {
		h.ws.send(join([]byte{0}, retry))
		return h.readHello() // which does not come
	}
	for _, tag := range []byte{1, 2, 3, 5, 6} {
		if first.has(tag) != second.has(tag) || !bytes.Equal(first.value[tag], second.value[tag]) {
			return nil, fault(BadRecord, "the second ClientHello differs in tag %d", tag)
		}
	}
	if _, there := second.shares[groupOf[suite]]; !there || len(second.shares) != 1 {
		return nil, fault(BadRecord, "the second ClientHello does not have the one share")
	}
	return second, h.transcript.add(second.raw)
}

func (h *serverHandshake) agree(c *hello, suite int) (*handshakeKeys, error) {
	share, agreed, err := answer(groupOf[suite], c.shares[groupOf[suite]])
	if err != nil {
		return nil, err
	}
	random := make([]byte, 32)
	rand.Read(random)
	fields := [][]byte{
		tlv(1, u16(1)), tlv(2, u16(suite)), tlv(3, random), tlv(4, join(u16(groupOf[suite]), share)),
	}
	var psk []byte
	if h.resumption = h.redeem(c, suite); h.resumption != nil {
		psk = h.resumption.psk
		h.fullAt, h.identity, h.kindThree = h.resumption.full, h.resumption.identity, h.resumption.outer
		h.result.Resumed = true
		fields = append(fields, tlv(5, []byte{1}))
	}
	m := encodeMessage(serverHello, h.spoilHello(fields)...)
	if err := h.transcript.add(m); err != nil {
		return nil, err
	}
	if h.fault == "text" {
		h.ws.write(opText, []byte("hello"))
		_, err := readHandshake(h.ws, h.end)
		return nil, err
	}
	if err := h.ws.send(join([]byte{0}, m)); err != nil {
		return nil, &Ended{CloseCode: 1006}
	}
	h.result.Suite = suite
	return newHandshakeKeys(suite, h.spoilPSK(psk), agreed, h.transcript.hash()), nil
}

func (h *serverHandshake) sendFlight(keys *handshakeKeys) error {
	id := make([]byte, 16)
	rand.Read(id)
	p := h.params
	p.kinds = h.kinds()
	p = h.spoilParams(p)
	parameters := encodeMessage(serverParams, tlv(1, id), tlv(2, u16(p.epochSeconds)), tlv(3, u32(uint32(p.perKey))),
		tlv(4, []byte{p.padding}), tlv(5, p.codecs), tlv(6, []byte{p.reauthEvery}), tlv(7, p.kinds))
	if h.resumption != nil && h.fault != "resumed-certificate" {
		h.current, h.signer = h.resumption.current, h.resumption.signer
		return h.seal(keys, parameters, nil)
	}
	certificate, pair, err := h.certificate()
	if err != nil {
		return err
	}
	h.current, h.signer = certificate, pair
	identity := encodeMessage(serverCertificate, tlv(1, certificate))
	before := h.transcript // the same bytes, hashed for the leaf
	if err := before.add(join(parameters, identity)); err != nil {
		return err
	}
	proof, err := prove(pair, saysVerify, verifyLeaf(before.hash()))
	if err != nil {
		return err
	}
	h.result.PQ, h.result.Nodes = pair.pq != nil, len(proof.directions)
	h.spoilProof(proof)
	h.fullAt = time.Now()
	return h.seal(keys, parameters, join(identity, encodeMessage(serverVerify, proof.fields())))
}

// seal ends the flight and sends it: who the server is stands in the middle, or in a ticket's psk.
func (h *serverHandshake) seal(keys *handshakeKeys, parameters, identity []byte) error {
	if err := h.transcript.add(join(parameters, identity)); err != nil {
		return err
	}
	mac := finishedMAC(keys.server, h.transcript.hash())
	if h.fault == "finished" {
		mac[0] ^= 1
	}
	finished := encodeMessage(serverFinished, tlv(1, mac))
	if err := h.transcript.add(finished); err != nil {
		return err
	}
	flight := join(parameters, identity, finished)
	if h.fault == "order" {
		flight = join(identity, parameters, finished)
	}
	record := sealFlight(keys.suite, keys.server, flight)
	if h.fault == "flight-tampered" {
		record[len(record)-1] ^= 1
	}
	if err := h.ws.send(record); err != nil {
		return &Ended{CloseCode: 1006}
	}
	return nil
}

func (h *serverHandshake) takeFlight(keys *handshakeKeys) error {
	record, err := readHandshake(h.ws, h.end)
	if err != nil {
		return err
	}
	flight, err := openFlight(keys.suite, keys.client, record)
	if err != nil {
		return err
	}
	messages, err := inOrder(flight, clientParams, clientCredential, clientFinished)
	var verify *message
	if err != nil {
		if messages, err = inOrder(flight, clientParams, clientCredential, clientVerify, clientFinished); err != nil {
			return err
		}
		verify = messages[2]
	}
	for _, m := range messages[:2] {
		if err := h.transcript.add(m.raw); err != nil {
			return err
		}
	}
	// What is signed ends here.  Whether it is right is said only after ClientFinished, which proves the sender's keys.
	toCredential := h.transcript
	if verify != nil {
		if err := h.transcript.add(verify.raw); err != nil {
			return err
		}
	}
	finished := messages[len(messages)-1]
	mac, err := finished.sized(1, 48)
	if err != nil {
		return err
	}
	if !hmac.Equal(mac, finishedMAC(keys.client, h.transcript.hash())) {
		return fault(AuthFailed, "ClientFinished is wrong")
	}
	if err := h.transcript.add(finished.raw); err != nil {
		return err
	}
	if err := h.takeCredential(messages[1], verify, toCredential.hash()); err != nil {
		return err
	}
	codec, err := h.takeParams(messages[0])
	if err != nil {
		return err
	}
	h.ws.conn.SetReadDeadline(time.Time{})
	h.session = newSession(h.ws, false, keys.suite, h.params, codec, firstEpoch(keys, h.transcript.hash()), h.result)
	return nil
}

func (h *serverHandshake) takeParams(m *message) (codec byte, err error) {
	var numbers [4]byte
	for tag := byte(1); tag <= 3; tag++ {
		number, err := m.number(tag, 1)
		if err != nil {
			return 0, err
		}
		numbers[tag] = byte(number)
	}
	if m.has(4) && (len(m.value[4]) > 4_096 || !isObject(m.value[4])) {
		return 0, fault(BadRecord, "metadata that is no JSON object")
	}
	h.result.Metadata = string(m.value[4])
	up, down, duration := numbers[1], numbers[2], numbers[3]
	switch {
	case !slices.Contains(h.params.codecs, up) || !slices.Contains(h.params.codecs, down) || up != down:
		return 0, fault(Policy, "codecs %d and %d", up, down) // an echo has one
	case !slices.Contains([]byte{10, 20, 40, 60}, duration):
		return 0, fault(Policy, "frames of %d ms", duration)
	}
	return up, nil
}
