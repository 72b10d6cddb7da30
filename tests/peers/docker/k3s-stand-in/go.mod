module hackspace.dev/tests/peers/docker/k3s-stand-in

go 1.26.0
