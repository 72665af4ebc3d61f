package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// The anchor file, protocol text §6.

var anchorAlgs = map[string]int{
	"ecdsa_secp384r1_sha384": algP384, "mldsa65": algMLDSA65, "mldsa87": algMLDSA87,
}

type anchor struct {
	authorities []string
	classical   publicKey
	pq          *publicKey
}

func (a *anchor) id() [32]byte { return anchorID(a.classical, a.pq) }

func anchorID(classical publicKey, pq *publicKey) [32]byte {
	encoded := classical.encoded()
	if pq != nil {
		encoded = join(encoded, pq.encoded())
	}
	return sha256.Sum256(encoded)
}

type keyInFile struct {
	Alg string `json:"alg"`
	Key string `json:"key"`
}

type anchorInFile struct {
	Authorities []string   `json:"authorities"`
	Classical   keyInFile  `json:"classical"`
	PQ          *keyInFile `json:"pq,omitempty"`
}

type anchorFile struct {
	Anchors []anchorInFile `json:"anchors"`
}

func loadAnchors(path string) ([]*anchor, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file anchorFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	var all []*anchor
	for _, entry := range file.Anchors {
		a := &anchor{authorities: entry.Authorities}
		if a.classical, err = entry.Classical.parse(false); err != nil {
			return nil, err
		}
		if entry.PQ != nil {
			key, err := entry.PQ.parse(true)
			if err != nil {
				return nil, err
			}
			a.pq = &key
		}
		for _, other := range all {
			if other.id() == a.id() {
				return nil, fmt.Errorf("%s: the same anchor twice", path)
			}
			if (other.pq == nil) != (a.pq == nil) && overlap(other.authorities, a.authorities) {
				return nil, fmt.Errorf("%s: an authority with and without a PQ key", path)
			}
		}
		all = append(all, a)
	}
	return all, nil
}

func (k keyInFile) parse(pq bool) (publicKey, error) {
	alg, known := anchorAlgs[k.Alg]
	if !known || (alg != algP384) != pq {
		return publicKey{}, fmt.Errorf("no algorithm for an anchor's key: %q", k.Alg)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(k.Key)
	if err != nil || !keyIsGood(alg, key) {
		return publicKey{}, fmt.Errorf("an anchor's key that is none")
	}
	return publicKey{alg, key}, nil
}

// write makes the file that clients get.
func writeAnchors(path string, authorities []string, keys *pair) error {
	classical, pq := keys.keys()
	entry := anchorInFile{Authorities: authorities, Classical: inFile(classical)}
	if pq != nil {
		second := inFile(*pq)
		entry.PQ = &second
	}
	content, err := json.Marshal(anchorFile{[]anchorInFile{entry}})
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func inFile(key publicKey) keyInFile {
	for name, alg := range anchorAlgs {
		if alg == key.alg {
			return keyInFile{name, base64.StdEncoding.EncodeToString(key.key)}
		}
	}
	panic("no anchor has such a key")
}

// matches says whether a host (no port, no brackets) is one of the authorities.
func matches(host string, authorities []string) bool {
	return slices.ContainsFunc(authorities, func(pattern string) bool { return matchesOne(host, pattern) })
}

func matchesOne(host, pattern string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		other, err := netip.ParseAddr(pattern)
		return err == nil && address == other
	}
	host, pattern = lowered(host), lowered(pattern)
	if suffix, wild := strings.CutPrefix(pattern, "*."); wild {
		label, rest, found := strings.Cut(host, ".")
		return found && label != "" && rest == suffix
	}
	return host == pattern
}

func overlap(some, others []string) bool {
	for _, a := range some {
		for _, b := range others {
			if lowered(a) == lowered(b) || matchesOne(a, b) || matchesOne(b, a) {
				return true
			}
		}
	}
	return false
}

// lowered leaves everything but A to Z as it is.
func lowered(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}
