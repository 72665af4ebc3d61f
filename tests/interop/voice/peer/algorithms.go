package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// answerVectors reads one case a line and writes one answer a line: this is how the test runs published vectors, which
// it reads itself, through the code above.
func answerVectors(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var c struct {
			What                            string
			Alg                             int
			Key, Text, Context, Signature   string
			Nonce, Additional, Sealed, Seed string
			windowCase
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		raw := func(text string) []byte { return must(hex.DecodeString(text)) }
		switch c.What {
		case "mldsa verify":
			fmt.Fprintln(out, verifyMLDSA(mldsa[c.Alg], raw(c.Key), raw(c.Text), raw(c.Context), raw(c.Signature)))
		case "mldsa key":
			fmt.Fprintln(out, hex.EncodeToString(newSigningKey(mldsa[c.Alg], raw(c.Seed)).public))
		case "mldsa sign":
			fmt.Fprintln(out, hex.EncodeToString(newSigningKey(mldsa[c.Alg], raw(c.Seed)).sign(raw(c.Text))))
		case "verify":
			fmt.Fprintln(out, verifySignature(c.Alg, raw(c.Key), raw(c.Text), raw(c.Signature)))
		case "chacha20poly1305 open":
			opened, err := newChaCha20Poly1305(raw(c.Key)).Open(nil, raw(c.Nonce), raw(c.Sealed), raw(c.Additional))
			fmt.Fprintln(out, err == nil && hex.EncodeToString(opened) == c.Text)
		case "epoch":
			e := newEpoch(1, raw(c.Key), raw(c.Context))
			fmt.Fprintln(out, hex.EncodeToString(join(e.c2s, e.s2c, e.ctlC2S, e.ctlS2C, e.rekey, e.resumption)))
		case "window":
			if err := answerWindow(c.windowCase, out); err != nil {
				return err
			}
		default:
			return fmt.Errorf("no such case: %q", c.What)
		}
	}
	return lines.Err()
}
