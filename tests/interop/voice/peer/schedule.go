package main

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"
)

// Transcript and key schedule, protocol text §4 and §5.  H is SHA-384.

func hash(parts ...[]byte) []byte {
	digest := sha512.Sum384(join(parts...))
	return digest[:]
}

func extract(salt, input []byte) []byte { return must(hkdf.Extract(sha512.New384, input, salt)) }

// derive is HL of the text.
func derive(secret []byte, label string, context []byte, n int) []byte {
	l := "svp1 " + label
	info := join(u16(n), []byte{byte(len(l))}, []byte(l), []byte{byte(len(context))}, context)
	return must(hkdf.Expand(sha512.New384, secret, string(info), n))
}

var zeros = make([]byte, 48)

func prologue(bindingType byte, binding, authority, path []byte) []byte {
	return join([]byte("sottovoce.v1 prologue"), []byte{bindingType}, withLength(binding),
		withLength(authority), withLength(path))
}

// A transcript holds the bytes themselves: a handshake is short.
type transcript struct {
	prologue []byte
	messages []byte
	counted  int
}

// add takes a message in, and counts it towards the limit of a whole handshake.
func (t *transcript) add(raw []byte) error {
	t.counted += len(raw)
	if t.counted > maxHandshake {
		return fault(TooLarge, "a handshake of more than %d bytes", maxHandshake)
	}
	t.messages = append(t.messages, raw...)
	return nil
}

// retried replaces the first ClientHello, the only message so far, by the synthetic one.
func (t *transcript) retried() {
	t.messages = join([]byte{0xFE, 0, 0, 48}, hash(t.messages))
}

func (t *transcript) hash() []byte { return hash(t.prologue, t.messages) }

// handshakeKeys are those between ServerHello and ClientFinished.
type handshakeKeys struct {
	suite          int
	secret         []byte
	client, server []byte
}

// newHandshakeKeys takes a ticket's psk, or nil.
func newHandshakeKeys(suite int, psk, agreed, toServerHello []byte) *handshakeKeys {
	if psk == nil {
		psk = zeros
	}
	early := extract(zeros, psk)
	secret := extract(derive(early, "derived", hash(), 48), agreed)
	return &handshakeKeys{
		suite, secret, derive(secret, "c hs", toServerHello, 48), derive(secret, "s hs", toServerHello, 48),
	}
}

func finishedMAC(secret, toMessageBefore []byte) []byte {
	mac := hmac.New(sha512.New384, derive(secret, "finished", nil, 48))
	mac.Write(toMessageBefore)
	return mac.Sum(nil)
}

func sealFlight(suite int, secret, plaintext []byte) []byte {
	aead := newAEAD(suite, derive(secret, "key", nil, 32))
	header := join([]byte{1}, u16(len(plaintext)+aead.Overhead()))
	return aead.Seal(header, derive(secret, "iv", nil, 12), plaintext, header)
}

func openFlight(suite int, secret, record []byte) ([]byte, error) {
	if len(record) < 3 || record[0] != 1 {
		return nil, fault(BadRecord, "not a sealed flight")
	}
	r := &reader{rest: record[1:]}
	ciphertext := r.take(r.u16())
	if err := r.done("a sealed flight"); err != nil {
		return nil, err
	}
	aead := newAEAD(suite, derive(secret, "key", nil, 32))
	plaintext, err := aead.Open(nil, derive(secret, "iv", nil, 12), ciphertext, record[:3])
	if err != nil {
		return nil, fault(AuthFailed, "a flight that does not open")
	}
	return plaintext, nil
}

// epochKeys are what is left of root[e].
type epochKeys struct {
	number         uint32
	c2s, s2c       []byte
	ctlC2S, ctlS2C []byte // for WebTransport, which this peer does not speak: vectors only
	rekey          []byte
	resumption     []byte
	th             []byte
}

func firstEpoch(k *handshakeKeys, toClientFinished []byte) *epochKeys {
	master := extract(derive(k.secret, "derived", hash(), 48), zeros)
	return newEpoch(1, derive(master, "root", toClientFinished, 48), toClientFinished)
}

func newEpoch(number uint32, root, th []byte) *epochKeys {
	return &epochKeys{
		number, derive(root, "c2s", th, 64), derive(root, "s2c", th, 64), derive(root, "c2s ctl", th, 64),
		derive(root, "s2c ctl", th, 64), derive(root, "rekey", hash(), 48), derive(root, "res", th, 48), th,
	}
}

// next is the root step, from the two messages of the step and its secret.
func (e *epochKeys) next(init, response, agreed []byte) *epochKeys {
	th := hash(e.th, init, response)
	return newEpoch(e.number+1, derive(extract(e.rekey, agreed), "root", th, 48), th)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
