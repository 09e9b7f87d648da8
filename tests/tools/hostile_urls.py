"""URLs that lead to this machine or to the network that it is in, by every way that is known to us."""

from __future__ import annotations

INSIDE = {
    "loop_example_org": "127.0.0.1",
    "loop6_example_org": "::1",
    "mixed_example_org": "93.184.215.14 10.0.0.7",
    "mapped_example_org": "::ffff:127.0.0.1",
    "nat64_example_org": "64:ff9b::7f00:1",
    "meta_example_org": "169.254.169.254",
    "localhost": "127.0.0.1",
    "zone_example_org": "fe80::1%lo",
    "nothing_example_org": "",
}

# {p} is a port that policy and server know: nothing but the address stands in the way.
HOSTILE = """
http://127.0.0.1:{p}/
http://127.0.0.1./
http://127.1:{p}/
http://127.0.1:{p}/
http://2130706433:{p}/
http://0x7f000001:{p}/
http://0x7f.1:{p}/
http://0x7f.0x0.0x0.0x1:{p}/
http://0177.0.0.1:{p}/
http://0177.0x0.0.1:{p}/
http://017700000001:{p}/
http://127.0.0.01:{p}/
http://0:{p}/
http://0.0.0.0:{p}/
http://[::]:{p}/
http://[::1]:{p}/
http://[0:0:0:0:0:0:0:1]:{p}/
http://[::ffff:127.0.0.1]:{p}/
http://[::ffff:7f00:1]:{p}/
http://[::127.0.0.1]:{p}/
http://[64:ff9b::127.0.0.1]:{p}/
http://[64:ff9b::7f00:1]:{p}/
http://[64:ff9b:1::7f00:1]:{p}/
http://[2002:7f00:1::]:{p}/
http://[2001:0:7f00:1::]:{p}/
http://[2001:db8::5efe:127.0.0.1]:{p}/
http://[2a00:1450::5efe:7f00:1]:{p}/
http://[2a00:1450::200:5efe:7f00:1]:{p}/
http://[fe80::1%25lo]:{p}/
http://[fe80::1]:{p}/
http://[fc00::1]:{p}/
http://[fd00:ec2::254]/latest/meta-data/
http://[ff02::1]:{p}/
http://169.254.169.254/latest/meta-data/
http://[::ffff:a9fe:a9fe]/latest/meta-data/
http://192.0.0.192/opc/v2/
http://100.100.100.200/latest/meta-data/
http://168.63.129.16/machine
http://10.0.0.1:{p}/
http://172.16.0.1:{p}/
http://192.168.1.1:{p}/
http://100.64.0.1:{p}/
http://198.18.0.1:{p}/
http://224.0.0.1:{p}/
http://255.255.255.255:{p}/
http://localhost:{p}/
http://LOCALHOST.:{p}/
http://loop.example.org:{p}/
http://loop6.example.org:{p}/
http://mixed.example.org:{p}/
http://mapped.example.org:{p}/
http://nat64.example.org:{p}/
http://meta.example.org/latest/meta-data/
http://zone.example.org:{p}/
http://nothing.example.org:{p}/
http://good.example.org@127.0.0.1:{p}/
http://127.0.0.1:{p}@good.example.org/
http://good.example.org:80@127.0.0.1:{p}/
http://good.example.org%40127.0.0.1:{p}/
http://127.0.0.1%2f@good.example.org:{p}/
http://good.example.org\\@127.0.0.1:{p}/
http://127.0.0.1:{p}\\.example.org/
http://good.example.org\t@127.0.0.1:{p}/
http://①②⑦.⓪.⓪.①:{p}/
http://127。0。0。1:{p}/
http://１２７.0.0.1:{p}/
http://%31%32%37.0.0.1:{p}/
http:127.0.0.1:{p}/
http:///127.0.0.1:{p}/
//127.0.0.1:{p}/
file:///etc/passwd
gopher://127.0.0.1:{p}/_x
ftp://127.0.0.1:{p}/
unix:///var/run/docker.sock
http+unix://%2Fvar%2Frun%2Fdocker.sock/info
javascript:alert(1)
data:text/plain,x
http://127.0.0.1:22/
http://[::1
""".strip().splitlines()
