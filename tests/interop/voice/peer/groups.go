package main

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
)

// Key agreement, protocol text §3.  A share is made for one message; its private part lives in a closure that is
// called once.

const (
	suiteX25519MLKEM768     = 0x0001
	suiteX25519MLKEM768Cha  = 0x0002
	suiteP384MLKEM1024      = 0x0101
	suiteX25519             = 0xF001
	suiteP384               = 0xF002
	groupX25519MLKEM768     = 0x11EC
	groupSecP384r1MLKEM1024 = 0x11ED
	groupX25519             = 0x001D
	groupP384               = 0x0018
	pointBytes              = 97
)

var groupOf = map[int]int{
	suiteX25519MLKEM768:    groupX25519MLKEM768,
	suiteX25519MLKEM768Cha: groupX25519MLKEM768,
	suiteP384MLKEM1024:     groupSecP384r1MLKEM1024,
	suiteX25519:            groupX25519,
	suiteP384:              groupP384,
}

// A finish makes the secret from the server's share.
type finish func(share []byte) ([]byte, error)

var errShare = fault(IllegalShare, "a share that cannot be used")

// offer makes a client's share of a group.
func offer(group int) ([]byte, finish, error) {
	switch group {
	case groupX25519:
		return offerECDH(ecdh.X25519())
	case groupP384:
		return offerECDH(ecdh.P384())
	case groupX25519MLKEM768:
		kem, err := mlkem.GenerateKey768()
		if err != nil {
			return nil, nil, err
		}
		point, agree, err := offerECDH(ecdh.X25519())
		return join(kem.EncapsulationKey().Bytes(), point), func(share []byte) ([]byte, error) {
			if len(share) != mlkem.CiphertextSize768+32 {
				return nil, errShare
			}
			return both(kem.Decapsulate, share[:mlkem.CiphertextSize768], agree, share[mlkem.CiphertextSize768:])
		}, err
	case groupSecP384r1MLKEM1024:
		kem, err := mlkem.GenerateKey1024()
		if err != nil {
			return nil, nil, err
		}
		point, agree, err := offerECDH(ecdh.P384())
		return join(point, kem.EncapsulationKey().Bytes()), func(share []byte) ([]byte, error) {
			if len(share) != pointBytes+mlkem.CiphertextSize1024 {
				return nil, errShare
			}
			return both(agree, share[:pointBytes], kem.Decapsulate, share[pointBytes:])
		}, err
	}
	return nil, nil, fault(Internal, "no group %04x", group)
}

// answer makes the server's share for a client's, and the secret.
func answer(group int, theirs []byte) (share, secret []byte, err error) {
	switch group {
	case groupX25519:
		return answerECDH(ecdh.X25519(), theirs)
	case groupP384:
		return answerECDH(ecdh.P384(), theirs)
	case groupX25519MLKEM768:
		if len(theirs) != mlkem.EncapsulationKeySize768+32 {
			return nil, nil, errShare
		}
		key, err := mlkem.NewEncapsulationKey768(theirs[:mlkem.EncapsulationKeySize768])
		if err != nil {
			return nil, nil, errShare
		}
		point, agreed, err := answerECDH(ecdh.X25519(), theirs[mlkem.EncapsulationKeySize768:])
		if err != nil {
			return nil, nil, err
		}
		shared, ciphertext := key.Encapsulate()
		return join(ciphertext, point), join(shared, agreed), nil
	case groupSecP384r1MLKEM1024:
		if len(theirs) != pointBytes+mlkem.EncapsulationKeySize1024 {
			return nil, nil, errShare
		}
		key, err := mlkem.NewEncapsulationKey1024(theirs[pointBytes:])
		if err != nil {
			return nil, nil, errShare
		}
		point, agreed, err := answerECDH(ecdh.P384(), theirs[:pointBytes])
		if err != nil {
			return nil, nil, err
		}
		shared, ciphertext := key.Encapsulate()
		return join(point, ciphertext), join(agreed, shared), nil
	}
	return nil, nil, fault(Internal, "no group %04x", group)
}

func both(first finish, a []byte, second finish, b []byte) ([]byte, error) {
	x, err := first(a)
	if err != nil {
		return nil, errShare
	}
	y, err := second(b)
	if err != nil {
		return nil, errShare
	}
	return join(x, y), nil
}

func offerECDH(curve ecdh.Curve) ([]byte, finish, error) {
	private, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return private.PublicKey().Bytes(), func(share []byte) ([]byte, error) { return agree(private, share) }, nil
}

func answerECDH(curve ecdh.Curve, theirs []byte) ([]byte, []byte, error) {
	private, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	secret, err := agree(private, theirs)
	return private.PublicKey().Bytes(), secret, err
}

// agree refuses wrong lengths, points that are not on the curve and, with X25519, a result of zeros.
func agree(private *ecdh.PrivateKey, theirs []byte) ([]byte, error) {
	public, err := private.Curve().NewPublicKey(theirs)
	if err != nil {
		return nil, errShare
	}
	secret, err := private.ECDH(public)
	if err != nil {
		return nil, errShare
	}
	return secret, nil
}
