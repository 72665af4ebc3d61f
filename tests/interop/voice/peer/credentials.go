package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A client's credentials, protocol text §4: a token, a key of its own, the certificate of its outer TLS.

const (
	kindNone        = 0
	kindToken       = 1
	kindKey         = 2
	kindCertificate = 3
)

var saysClient = []byte("sottovoce.v1 client verify\x00")

// A clientKey is kind 2's.
type clientKey struct {
	public publicKey
	sign   func(text []byte) []byte
}

// loadClientKey reads PKCS #8 in PEM.
func loadClientKey(path string) (*clientKey, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("no PEM in " + path)
	}
	if key, err := mldsaKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	switch private := parsed.(type) {
	case ed25519.PrivateKey:
		public := publicKey{algEd25519, private.Public().(ed25519.PublicKey)}
		return &clientKey{public, func(text []byte) []byte { return ed25519.Sign(private, text) }}, nil
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P384() {
			break
		}
		p := &pair{classical: private}
		public, _ := p.keys()
		return &clientKey{public, func(text []byte) []byte {
			signature, _, err := p.sign(text)
			return must(signature, err)[2:]
		}}, nil
	}
	return nil, errors.New("a key of no use in " + path)
}

// mldsaKey takes the form of RFC 9881 that holds the seed alone.
func mldsaKey(der []byte) (*clientKey, error) {
	var outer struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, err
	}
	algs := map[string]int{
		"2.16.840.1.101.3.4.3.17": algMLDSA44, "2.16.840.1.101.3.4.3.18": algMLDSA65, "2.16.840.1.101.3.4.3.19": algMLDSA87,
	}
	alg, known := algs[outer.Algorithm.Algorithm.String()]
	if !known || len(outer.PrivateKey) != 34 || outer.PrivateKey[0] != 0x80 || outer.PrivateKey[1] != 32 {
		return nil, errors.New("not a seed of ML-DSA")
	}
	key := newSigningKey(mldsa[alg], outer.PrivateKey[2:])
	return &clientKey{publicKey{alg, key.public}, key.sign}, nil
}

// identify reads the files of the client's own credential, and its tickets.
func (c *client) identify(key, certificate, certificateKey, tickets string) (err error) {
	if key != "" {
		if c.key, err = loadClientKey(key); err != nil {
			return err
		}
	}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, certificateKey)
		if err != nil {
			return err
		}
		c.outer = &pair
	}
	if tickets != "" {
		c.tickets, err = loadTickets(tickets)
	}
	return err
}

// credential is what the client is told to show, whatever the server takes.
func (c *client) credential() (kind byte, value []byte) {
	switch {
	case c.token != "":
		return kindToken, []byte(c.token)
	case c.key != nil:
		return kindKey, c.key.public.encoded()
	case c.outer != nil:
		digest := sha256.Sum256(c.outer.Certificate[0])
		return kindCertificate, digest[:]
	}
	return kindNone, nil
}

// shown names the credential where tickets are kept.
func (c *client) shown() string {
	kind, value := c.credential()
	return fmt.Sprintf("%d %x", kind, sha256.Sum256(value))
}

// showCredential gives ClientCredential and, behind a key, ClientVerify, and takes them into the transcript.
func (h *clientHandshake) showCredential() ([]byte, error) {
	kind, value := h.credential()
	if h.resumed != nil {
		kind, value = kindNone, nil
	}
	kind, value = h.spoilCredential(kind, value)
	before := h.transcript.hash()
	shown := encodeMessage(clientCredential, tlv(1, []byte{kind}), tlv(2, value))
	if err := h.transcript.add(shown); err != nil {
		return nil, err
	}
	signature := h.spoilVerify(kind, before, h.transcript.hash())
	if signature == nil {
		return shown, nil
	}
	verify := encodeMessage(clientVerify, tlv(1, signature))
	return join(shown, verify), h.transcript.add(verify)
}

// takeCredential is the server's check; toCredential is the hash that ClientVerify signs.
func (h *serverHandshake) takeCredential(m, verify *message, toCredential []byte) error {
	kind, err := m.number(1, 1)
	if err != nil {
		return err
	}
	value := m.value[2]
	switch {
	case (kind == kindKey) != (verify != nil):
		return fault(BadRecord, "ClientVerify without a key, or a key without it")
	case kind == kindNone && len(value) > 0:
		return fault(BadRecord, "no credential, with a value")
	case !slices.Contains(h.kinds(), byte(kind)):
		return fault(AuthFailed, "credential of kind %d", kind)
	}
	switch kind {
	case kindToken:
		if !hmac.Equal(value, []byte(h.token)) {
			return fault(AuthFailed, "a wrong token")
		}
	case kindKey:
		err = h.takeKey(value, verify.value[1], toCredential)
	case kindCertificate:
		if h.outer == nil || h.binding == 0 || !hmac.Equal(value, h.outer) {
			return fault(AuthFailed, "not the certificate of the outer TLS")
		}
		h.kindThree = h.outer
	}
	if err == nil && h.resumption == nil {
		h.identity = fmt.Sprintf("%d %x", kind, sha256.Sum256(value))
	}
	return err
}

func (h *serverHandshake) takeKey(value, signature, toCredential []byte) error {
	key, err := parseKey(value, algP384, algEd25519, algMLDSA44, algMLDSA65, algMLDSA87)
	if err != nil {
		return err
	}
	if !key.verify(join(saysClient, toCredential), signature) {
		return fault(AuthFailed, "ClientVerify is wrong")
	}
	if !slices.Contains(h.clientKeys, string(key.encoded())) {
		return fault(AuthFailed, "a key that nobody has added")
	}
	return nil
}

// kinds is ServerParams tag 7.
func (h *serverHandshake) kinds() []byte {
	if h.resumption != nil {
		return []byte{kindNone}
	}
	return h.params.kinds
}

// admit reads what the server's command line says of its clients.
func (s *server) admit(keys, ca string) error {
	var kinds []byte
	if s.token != "" {
		kinds = append(kinds, kindToken)
	}
	for key := range strings.FieldsFuncSeq(keys, func(r rune) bool { return r == ',' }) {
		raw, err := hex.DecodeString(key)
		if err != nil {
			return err
		}
		s.clientKeys = append(s.clientKeys, string(raw))
	}
	if len(s.clientKeys) > 0 {
		kinds = append(kinds, kindKey)
	}
	if ca != "" {
		content, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		s.clientCA = x509.NewCertPool()
		s.clientCA.AppendCertsFromPEM(content)
		kinds = append(kinds, kindCertificate)
	}
	if len(kinds) == 0 {
		kinds = []byte{kindNone}
	}
	s.params.kinds = kinds
	return nil
}

// outerDigest is the certificate that the carriage has authenticated, nil where there is none.
func outerDigest(state tls.ConnectionState) []byte {
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	digest := sha256.Sum256(state.PeerCertificates[0].Raw)
	return digest[:]
}

// spoilCredential replaces what is shown.
func (h *clientHandshake) spoilCredential(kind byte, value []byte) (byte, []byte) {
	value = slices.Clone(value)
	switch h.fault {
	case "kind unknown":
		return 9, value
	case "none with a value":
		return kindNone, []byte{0}
	case "token with ticket":
		return kindToken, []byte("a-token-for-tests-only")
	case "key short":
		return kindKey, value[:1]
	case "key algorithm":
		copy(value, u16(0x0401))
	case "key garbage":
		rand.Read(value[3:])
	case "key small order": // the neutral element: any text is signed by it and 0
		return kindKey, join(u16(algEd25519), []byte{1}, make([]byte, 31))
	case "certificate other":
		value[0] ^= 1
	case "certificate short":
		return kind, value[:31]
	case "certificate none":
		return kindCertificate, make([]byte, 32)
	}
	return kind, value
}

// spoilVerify signs what ClientVerify has to sign, or something else; nil for no ClientVerify.
func (h *clientHandshake) spoilVerify(kind byte, before, now []byte) []byte {
	sign := func(says, text []byte) []byte {
		return join(u16(h.key.public.alg), h.key.sign(join(says, text)))
	}
	switch {
	case h.fault == "verify unasked":
		return join(u16(algEd25519), make([]byte, 64))
	case h.fault == "key small order":
		return join(u16(algEd25519), []byte{1}, make([]byte, 63))
	case kind != kindKey || h.fault == "verify missing":
		return nil
	}
	signature := sign(saysClient, now)
	switch h.fault {
	case "verify transcript":
		return sign(saysClient, before)
	case "verify string":
		return sign(saysVerify, now)
	case "verify algorithm":
		copy(signature, u16(algP384^algEd25519^h.key.public.alg))
	case "verify tampered":
		signature[len(signature)-1] ^= 1
	}
	return signature
}
