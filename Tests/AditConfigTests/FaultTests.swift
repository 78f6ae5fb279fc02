// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

/// Broken files, each with the exact place and key that must be named.
@Suite struct FaultTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var file: String
        var text: String
        /// `line:column key`, for every fault in the order of the file.
        var places: [String]
        /// The suggested keys, in the same order; empty where there is none.
        var suggestions: [String] = []
        /// A part of the first fault with its hint.
        var says = ""

        var testDescription: String { "\(file): \(text.prefix(60))" }
    }

    static func faults(_ bytes: [UInt8], _ file: String) -> [ConfigurationFault] {
        do throws(ConfigurationFaults) {
            return try Example.load(bytes, file)
        } catch {
            return error.faults
        }
    }

    @Test func aLongValueIsCutInWhatIsSaid() {
        let text = "[common]\nbind_port = " + String(repeating: "1", count: 100_000) + "\n"
        let fault = Self.faults(Array(text.utf8), "frps.ini").first
        #expect((fault?.description.utf8.count ?? 0) < 1000)
        #expect(fault?.position == SourcePosition(line: 2, column: 13))
    }

    @Test func aListingShowsTheLines() {
        let bytes = Array("a = 1\nbindPrt = 7000\n".utf8)
        #expect(throws: ConfigurationFaults.self) { try Example.load(bytes, "frps.toml") }
        let listing = ConfigurationFaults(Self.faults(bytes, "frps.toml")).listing
        #expect(listing.contains("frps.toml:2:1: "))
        #expect(listing.contains("\n    2 | bindPrt = 7000"))
    }

    @Test(arguments: frpCases + ownCases + syntaxCases)
    func faultIsNamedAtItsPlace(_ item: Case) {
        let faults = Self.faults(Array(item.text.utf8), item.file)
        #expect(faults.map { "\($0.position) \($0.keyPath)" } == item.places, "\(faults)")
        if !item.suggestions.isEmpty { #expect(faults.map { $0.suggestion ?? "" } == item.suggestions) }
        if let first = faults.first, !item.says.isEmpty { #expect(first.description.contains(item.says)) }
        for fault in faults {
            #expect(!fault.what.chinese.isEmpty)
            #expect(fault.file == item.file)
        }
    }

    static let frpCases: [Case] = [
        // A top-level key after [[proxies]], the classic.
        Case(
            file: "frpc.toml",
            text: "serverAddr = \"a\"\n[[proxies]]\nname = \"x\"\ntype = \"tcp\"\nlocalPort = 22\nserverPort = 7001\n",
            places: ["6:1 proxies[0].serverPort"],
            suggestions: ["serverPort"],
            says: "\"serverPort\" belongs to the top level"
        ),
        Case(
            file: "frpc.toml",
            text:
                "serverAddr = \"a\"\n\n[[proxies]]\nname = \"x\"\ntype = \"tcp\"\nlocalPort = 22\nauth.token = \"t\"\n",
            places: ["7:1 proxies[0].auth"],
            says: "belongs to the top level"
        ),
        Case(
            file: "frpc.toml",
            text: "token = \"abc\"\n",
            places: ["1:1 token"],
            suggestions: ["auth.token"],
            says: "belongs to auth"
        ),
        Case(
            file: "frpc.toml",
            text: "\tserver_addr = \"a\"\n",
            places: ["1:2 server_addr"],
            suggestions: ["serverAddr"],
            says: "did you mean \"serverAddr\"?"
        ),
        Case(
            file: "frpc.toml",
            text: "servrAddr = \"a\"\n\"sreverPort\" = 1\n",
            places: ["1:1 servrAddr", "2:1 sreverPort"],
            suggestions: ["serverAddr", "serverPort"]
        ),
        Case(
            file: "frpc.toml",
            text: "[transport]\n[transport.tls]\nenabled = true\n",
            places: ["3:1 transport.tls.enabled"],
            suggestions: ["enable"]
        ),
        Case(
            file: "frpc.toml",
            text: "transport.tls.enabel = true\nuser = 'x'\n",
            places: ["1:15 transport.tls.enabel"],
            suggestions: ["enable"]
        ),
        Case(
            file: "frpc.toml",
            text: "[[proxies]]\nname = \"x\"\ntype = \"http\"\nlocalPort = 80\nremotePort = 8080\nsubdomain = \"a\"\n",
            places: ["5:1 proxies[0].remotePort"],
            says: "for those of type tcp, udp"
        ),
        Case(
            file: "frpc.toml",
            text: "[[proxies]]\nname = \"x\"\ntype = \"tcp\"\nlocalPort = 80\nuseEncryption = true\n",
            places: ["5:1 proxies[0].useEncryption"],
            suggestions: ["transport.useEncryption"],
            says: "transport.useEncryption"
        ),
        Case(
            file: "frpc.toml",
            text: "[[proxies]]\nname = \"x\"\ntype = \"htpp\"\nlocalPort = 80\n",
            places: ["3:8 proxies[0].type"],
            suggestions: ["http"],
            says: "none of tcp, udp, http"
        ),
        Case(
            file: "frpc.toml",
            text: "[[proxies]]\n[[proxies]]\nname = \"b\"\ntype = \"tcp\"\nlocalPort = 70000\n",
            places: ["1:3 proxies[0].name", "1:3 proxies[0].type", "5:13 proxies[1].localPort"],
            says: "the key \"name\" is missing"
        ),
        Case(
            file: "frpc.toml",
            text: "[[proxies]]\nname = \"x\"\ntype = \"http\"\nlocalPort = 80\n",
            places: ["1:3 proxies[0].customDomains"],
            says: "needs customDomains or subdomain"
        ),
        Case(
            file: "frpc.toml",
            text:
                "[[proxies]]\nname = \"x\"\ntype = \"http\"\nlocalPort = 80\ncustomDomains = \"a.example\"\n",
            places: ["5:17 proxies[0].customDomains"],
            says: "write [\"a.example\"]"
        ),
        Case(
            file: "frpc.toml",
            text:
                "[[proxies]]\nname = \"x\"\ntype = \"http\"\nlocalPort = 80\ncustomDomains = [\n\t\"a.example\",\n\t5,\n]\n",
            places: ["7:2 proxies[0].customDomains[1]"],
            says: "text was expected, a whole number was found"
        ),
        Case(
            file: "frpc.toml",
            text:
                "[[proxies]]\nname = \"x\"\ntype = \"tcp\"\nlocalPort = 1\n\n[[proxies]]\nname = \"x\"\ntype = \"tcp\"\nlocalPort = 2\n",
            places: ["6:3 x"],
            says: "taken in line 1"
        ),
        Case(
            file: "frpc.toml",
            text:
                "[[proxies]]\nname = \"x\"\ntype = \"tcp\"\nlocalPort = 1\n[proxies.plugin]\ntype = \"static_file\"\nlocalPaht = \"/\"\n",
            places: ["7:1 proxies[0].plugin.localPaht"],
            suggestions: ["localPath"]
        ),
        Case(
            file: "frpc.toml",
            text: "serverPort = \"7000\"\nloginFailExit = \"true\"\nuser = 5\n",
            places: ["1:14 serverPort", "2:17 loginFailExit", "3:8 user"],
            says: "take the quotes off"
        ),
        Case(
            file: "frpc.toml",
            text: "serverAddr = \"a\"\nserveraddr = \"b\"\n",
            places: ["2:1 serveraddr"],
            says: "the same key as \"serverAddr\" in line 1"
        ),
        Case(
            file: "frpc.toml",
            text: "transport.heartbeatInterval = 90\ntransport.heartbeatTimeout = 30\n",
            places: ["2:30 transport.heartbeatTimeout"],
            says: "below heartbeatInterval (90)"
        ),
        Case(
            file: "frpc.toml",
            text: "proxies = 5\nlog = \"info\"\n",
            places: ["1:11 proxies", "2:7 log"],
            says: "[[proxies]]"
        ),
        Case(file: "frpc.toml", text: "log.level = 2021-01-01\n", places: ["1:13 log.level"], says: "a date was found"),
        Case(
            file: "frps.toml",
            text:
                "allowPorts = [\n  { start = 10, end = 5 },\n  { single = 1, start = 2 },\n  { start = 1, ende = 3 },\n]\n",
            places: [
                "2:3 allowPorts[0]", "3:3 allowPorts[1]", "4:3 allowPorts[2]", "4:16 allowPorts[2].ende",
            ]
        ),
        Case(
            file: "frps.toml",
            text: "auth.additionalScopes = [\"HeartBeats\", \"NewWorkCons\"]\n",
            places: ["1:40 auth.additionalScopes"],
            suggestions: ["NewWorkConns"]
        ),
        Case(
            file: "frps.toml",
            text: "serverAddr = \"x\"\nvhostHttpPrt = 1\n",
            places: ["1:1 serverAddr", "2:1 vhostHttpPrt"],
            suggestions: ["", "vhostHTTPPort"]
        ),
        Case(
            file: "frps.yaml",
            text: "bindPort: 7000\ntransport:\n  tls:\n    forc: true\n",
            places: ["4:5 transport.tls.forc"],
            suggestions: ["force"]
        ),
        Case(
            file: "frps.yaml",
            text: "bindPort: 7000\nauth:\n  token: 12345678\n",
            places: ["3:10 auth.token"],
            says: "put it in quotes"
        ),
        Case(
            file: "frps.json",
            text: "{\n  \"bindPort\": 7000,\n  \"vhostHTTPPort\": -1\n}\n",
            places: ["3:20 vhostHTTPPort"],
            says: "not between 0 and 65535"
        ),
        // In INI an unknown key is a warning, as frp ignores it.
        Case(
            file: "frps.ini",
            text: "[common]\nbind_prot = 7000\n  vhost_http_port = 80 80\n",
            places: ["2:1 common.bind_prot", "3:21 common.vhost_http_port"],
            suggestions: ["bind_port", ""]
        ),
        Case(
            file: "frpc.ini",
            text: "[common]\nserver_port = 99999\n[web]\ntype = http\nlocal_port = x\n",
            places: ["2:15 common.server_port", "3:1 proxies[0].customDomains", "5:14 web.local_port"]
        ),
        Case(
            file: "frpc.ini",
            text:
                "[common]\n[range:a]\ntype = tcp\nlocal_port = 1-3\nremote_port = 1-2\n[range:b]\nlocal_port = 5-1\nremote_port = 1\n",
            places: ["2:1 range:a", "7:14 range:b.local_port"],
            says: "local_port has 3 ports, remote_port has 2"
        ),
    ]

    static let ownCases: [Case] = [
        Case(
            file: "adit-server.toml",
            text: "sesionPort = 1\nHTTPPort = 2\n",
            places: ["1:1 sesionPort", "2:1 HTTPPort"],
            suggestions: ["sessionPort", "httpPort"]
        ),
        Case(
            file: "adit-server.toml",
            text:
                "domain = \"http://x\"\nlisten = \"localhost\"\npublicPorts = \"9-1\"\ntoken = \"\"\ndrainSeconds = 9999\n",
            places: ["1:10 domain", "2:10 listen", "3:15 publicPorts", "4:9 token", "5:16 drainSeconds"]
        ),
        Case(
            file: "adit-server.toml",
            text: "sessionPort = 8080\n",
            places: ["1:15 sessionPort"],
            says: "both 8080"
        ),
        Case(
            file: "adit-server.toml",
            text: "[[tunnels]]\nkind = \"tcp\"\n",
            places: ["1:3 tunnels"]
        ),
        Case(
            file: "adit-server.yaml",
            text: "reservedNames: [ok, 'not ok', -x]\nlogLevel: verbose\n",
            places: ["1:21 reservedNames", "1:31 reservedNames", "2:11 logLevel"]
        ),
        Case(
            file: "adit-client.toml",
            text: """
                server = "a b"
                fingerprint = "SHA256:short"
                language = "fr"
                [[tunnels]]
                kind = "sctp"
                target = "localhost:22"
                [[tunnels]]
                target = 0
                [[tunnels]]
                kind = "tcp"
                target = "ftp://x"
                auth = ["nobody"]
                allow = ["10.0.0.0/40"]
                expires = "soon"
                """,
            places: [
                "1:10 server", "2:15 fingerprint", "3:12 language", "5:8 tunnels[0].kind", "7:3 tunnels[1].kind",
                "8:10 tunnels[1].target", "11:10 tunnels[2].target", "12:1 tunnels[2].auth",
                "12:9 tunnels[2].auth[0]", "13:10 tunnels[2].allow[0]", "14:11 tunnels[2].expires",
            ]
        ),
        Case(
            file: "adit-client.toml",
            text: "[[tunnels]]\nkind = \"http\"\ntarget = 80\nname = \"a\"\ntoken = \"x\"\n",
            places: ["5:1 tunnels[0].token"],
            says: "belongs to the top level"
        ),
        Case(
            file: "adit-client.toml",
            text: "kind = \"http\"\ntraget = 80\n",
            places: ["1:1 kind", "2:1 traget"],
            says: "belongs below [[tunnels]]"
        ),
        Case(
            file: "adit-client.toml",
            text:
                "[[tunnels]]\nkind = \"http\"\ntarget = 80\nname = \"a\"\n[[tunnels]]\nkind = \"http\"\ntarget = 81\nname = \"A\"\n",
            places: ["5:3 tunnels"],
            says: "taken by the tunnel in line 1"
        ),
        Case(
            file: "adit-client.yaml",
            text: "tunnels:\n  - kind: http\n    target: 80\n    nmae: x\n",
            places: ["4:5 tunnels[0].nmae"],
            suggestions: ["name"]
        ),
        Case(
            file: "adit-client.json",
            text: "{\"tunnels\": [{\"kind\": \"tcp\", \"target\": 22, \"port\": 0}]}",
            places: ["1:52 tunnels[0].port"]
        ),
    ]

    static let syntaxCases: [Case] = [
        Case(
            file: "frpc.toml",
            text: "serverAddr = your.server.com\n",
            places: ["1:14 "],
            says: "put text in double quotes"
        ),
        Case(file: "frpc.toml", text: "serverAddr: \"a\"\n", places: ["1:11 "], says: "TOML writes key = value"),
        Case(file: "frpc.toml", text: "a = 1\na = 2\n", places: ["2:1 "]),
        Case(file: "frpc.toml", text: "[common]\nserver_addr = a.b\n", places: ["2:15 "], says: "name the file .ini"),
        Case(file: "frps.yaml", text: "bindPort: 7000\n\tx: 1\n", places: ["2:1 "], says: "spaces, not with tabs"),
        Case(file: "frps.yaml", text: "a: 1\nbindPort: 1\na: 2\n", places: ["3:1 "], says: "there twice"),
        Case(file: "frps.yaml", text: "a:\n  b: 1\n  c: 2\n  b: 3\n", places: ["4:3 "], says: "there twice"),
        Case(file: "frps.yaml", text: "{a: 1, a: 2}\n", places: ["1:2 "], says: "there twice"),
        Case(file: "frps.yaml", text: "a: [1\n", places: ["2:1 "]),
        Case(file: "frps.yaml", text: "a: 1\n---\nb: 2\n", places: ["2:1 "]),
        Case(file: "frps.yaml", text: "? [a, b]\n: 1\n", places: ["1:3 "], says: "a key has to be text"),
        Case(file: "frps.json", text: "{\"a\": 1,}", places: ["1:9 "], says: "a comma stands before"),
        Case(file: "frps.json", text: "{a: 1}", places: ["1:2 "], says: "a key in double quotes"),
        Case(file: "frps.json", text: "{\"a\": 1 // no\n}", places: ["1:9 "]),
        Case(file: "frps.json", text: "{\"a\": 1, \"a\": 2}", places: ["1:10 "], says: "there twice"),
        Case(file: "frps.json", text: "{\"a\": 01}", places: ["1:7 "]),
        Case(file: "frps.json", text: "[]", places: ["1:1 "], says: "a table of keys and values"),
        Case(file: "frps.json", text: "", places: ["1:1 "], says: "ends too early"),
        Case(file: "frps.ini", text: "bind_port = 7000\n", places: ["1:1 "], says: "write [common] above it"),
        Case(
            file: "frpc.ini",
            text: "[web]\ntype = tcp\nlocal_port = 1\n",
            places: ["1:1 common"],
            says: "[common] is missing"
        ),
        Case(file: "frps.ini", text: "[common\n", places: ["1:1 "]),
        Case(file: "frpc.toml", text: "a = {{ .Env.HOME }}\n", places: ["1:5 "], says: "{{ .Env.HOME }} is not known"),
        Case(
            file: "frpc.toml",
            text: "a = 1\n{{ range parseNumberRange \"1-2\" }}\n",
            places: ["2:1 "],
            says: "no end"
        ),
        Case(file: "frpc.toml", text: "a = \"{{ .Envs.HOME\"\n", places: ["1:6 "], says: "not closed"),
        Case(file: "frpc.toml", text: "é = 1\n", places: ["1:1 "]),
        Case(file: "adit-server.ini", text: "[common]\nbind_port = 1\n", places: ["1:1 "], says: "adit config import"),
        Case(file: "adit-server", text: "[common]\nbind_port = 1\n", places: ["1:1 "]),
        Case(file: "adit-server.json", text: "# note\n{}", places: ["1:1 "], says: "JSON has no comments"),
    ]

    @Test func bytesThatAreNoTextAreRefused() {
        let cases: [(bytes: [UInt8], place: SourcePosition)] = [
            ([0x61, 0x20, 0x3D, 0x0A, 0x20, 0xFF], .init(line: 2, column: 2)),
            ([0x61, 0x00], .init(line: 1, column: 2)),
            ([0xFF, 0xFE, 0x61, 0x00], .start),
            ([0xED, 0xA0, 0x80], .start),
        ]
        for name in Example.names {
            for (bytes, place) in cases {
                let faults = Self.faults(bytes, name)
                #expect(faults.map(\.position) == [place])
            }
        }
    }

    @Test func filesBeyondOneMebibyteAreRefused() {
        let faults = Self.faults(Array(repeating: 0x23, count: (1 << 20) + 1), "frpc.toml")
        #expect(faults.map(\.position) == [.start])
        #expect(faults.first?.what.english.contains("1048577 bytes") == true)
    }

    @Test func byteOrderMarksAndCarriageReturnsAreNoMatter() throws {
        for name in Example.names {
            let bytes = try Example.bytes(name)
            let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
            let dressed: [UInt8] = [0xEF, 0xBB, 0xBF] + Array(lines.joined(separator: [13, 10]))
            #expect(try Example.load(dressed, name) == [])
        }
    }

    @Test func unknownKeysAreWarningsWithoutStrictness() throws {
        let text = Array("serverAddr = \"a\"\nserverPrt = 1\n".utf8)
        #expect(throws: ConfigurationFaults.self) {
            try ConfigurationFile.loadFRPClient(bytes: text, fileName: "frpc.toml")
        }
        let loaded = try ConfigurationFile.loadFRPClient(bytes: text, fileName: "frpc.toml", isStrict: false)
        #expect(loaded.warnings.map(\.severity) == [.warning])
        #expect(loaded.warnings.map(\.suggestion) == ["serverPort"])
    }

    @Test func faultsBecomeOneErrorForPeople() throws {
        let text = "sesionPort = 1\nlisten = \"x\"\n"
        do {
            _ = try ConfigurationFile.loadServer(bytes: Array(text.utf8), fileName: "a.toml")
            Issue.record("no fault")
        } catch {
            #expect(error.error.code == .configuration)
            #expect(error.error.what.english == "a.toml has 2 mistakes")
            #expect(
                error.error.why.map(\.english) == [
                    "a.toml:1:1: the top level has no key \"sesionPort\" (did you mean \"sessionPort\"?)",
                    "    1 | sesionPort = 1",
                    "a.toml:2:10: \"x\" is not an IP address (such as 0.0.0.0 for all, or 127.0.0.1)",
                    "    2 | listen = \"x\"",
                ]
            )
            #expect(error.error.why[0].chinese == "a.toml:1:1: 顶层没有键 \"sesionPort\"(是否想写 \"sessionPort\"?)")
        }
    }

    @Test func aFaultCannotSteerATerminal() {
        let faults = Self.faults(Array("\"\\u001b[2Jx\" = 1 # \u{1B}[31m\u{202E}\n".utf8), "frpc.toml")
        let shown = faults.map { $0.description + $0.line + $0.keyPath }.joined()
        #expect(!faults.isEmpty)
        #expect(shown.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 0x202E })
    }

    @Test func theNumberOfFaultsIsBounded() {
        let text = (0..<5000).map { "unknown\($0) = 1" }.joined(separator: "\n")
        let faults = Self.faults(Array(text.utf8), "frpc.toml")
        #expect(faults.count == 200)
    }
}
