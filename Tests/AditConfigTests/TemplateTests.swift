// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

/// Go templates as frp's users write them.
@Suite struct TemplateTests {
    private static func load(
        _ text: String,
        _ environment: [String: String] = [:],
        file: String = "frpc.toml"
    ) throws(ConfigurationFaults) -> LoadedConfiguration<FRPClientConfiguration> {
        try ConfigurationFile.loadFRPClient(bytes: Array(text.utf8), fileName: file, environment: environment)
    }

    private static func faults(_ text: String, _ environment: [String: String]) -> [ConfigurationFault] {
        do throws(ConfigurationFaults) {
            return try load(text, environment).warnings
        } catch {
            return error.faults
        }
    }

    @Test func environmentVariablesAreFilledIn() throws {
        let loaded = try Self.load(
            "serverAddr = \"{{ .Envs.HOST }}\"\nserverPort = {{.Envs.PORT}}\nuser = \"{{- .Envs.A -}}  \"\n",
            ["HOST": "a.example", "PORT": "7001", "A": "me"]
        )
        #expect(loaded.configuration.serverAddr == "a.example")
        #expect(loaded.configuration.serverPort == 7001)
        #expect(loaded.configuration.user == "me")
        #expect(loaded.warnings == [])
    }

    @Test func missingVariableIsEmptyWithAWarning() throws {
        let loaded = try Self.load("serverAddr = \"a\"\nauth.token = \"{{ .Envs.TOKEN }}\"\n")
        #expect(loaded.configuration.auth.token == "")
        #expect(loaded.warnings.map(\.position) == [.init(line: 2, column: 15)])
        #expect(loaded.warnings[0].what.english.contains("TOKEN"))
    }

    @Test func rangesMakeProxies() throws {
        let text = """
            {{- range $_, $v := parseNumberRangePair "6000-6001,6007" "16000-16001,16007" }}
            [[proxies]]
            name = "tcp-{{ $v.First }}"
            type = "tcp"
            localPort = {{ $v.First }}
            remotePort = {{ $v.Second }}
            {{- end }}
            {{ range $i, $n := parseNumberRange "80-81" }}
            [[proxies]]
            name = "{{ $.Envs.PREFIX }}{{ $i }}"
            type = "tcp"
            localPort = {{ $n }}{{/* a comment }} */}}
            {{ end }}
            {{ range parseNumberRange "9" }}
            [[proxies]]
            name = "dot"
            type = "tcp"
            localPort = {{ . }}
            {{ end -}}
            """
        let proxies = try Self.load(text, ["PREFIX": "n"]).configuration.proxies
        #expect(proxies.map(\.name) == ["tcp-6000", "tcp-6001", "tcp-6007", "n0", "n1", "dot"])
        #expect(proxies.map(\.remotePort) == [16000, 16001, 16007, 0, 0, 0])
        #expect(proxies.map(\.localPort) == [6000, 6001, 6007, 80, 81, 9])
        #expect(proxies.map(\.position.line) == [2, 2, 2, 9, 9, 15])
    }

    @Test func pairsHaveFieldsThroughTheDot() throws {
        let text = """
            {{ range parseNumberRangePair "1-2" "3-4" }}
            [[proxies]]
            name = "p{{ .First }}"
            type = "tcp"
            localPort = {{ .Second }}
            {{ end }}
            """
        #expect(try Self.load(text).configuration.proxies.map(\.localPort) == [3, 4])
    }

    @Test func faultsAreNamedWhereTheyWereWritten() {
        let text = """
            # {{ .Envs.LONG }}
            serverAddr = "{{ .Envs.LONG }}"; x
            {{ range $v := parseNumberRange "1-3" }}
            [[proxies]]
            name = "p{{ $v }}"
            type = "tcp"
            localPrt = {{ $v }}
            {{ end }}
            """
        let environment = ["LONG": "a-value-that-is-longer-than-its-template.example"]
        #expect(Self.faults(text, environment).map(\.position) == [.init(line: 2, column: 32)])
        let faults = Self.faults(text.replacingFirst("; x", with: ""), environment)
        #expect(faults.count == 6)
        #expect(Set(faults.map(\.position)) == [.init(line: 4, column: 3), .init(line: 7, column: 1)])
        #expect(faults.filter { $0.position.line == 7 }.allSatisfy { $0.line == "localPrt = {{ $v }}" })
    }

    @Test(
        arguments: [
            ("{{ if .Envs.X }}a{{ end }}", 1), ("x {{ .Values.a }}", 3), ("{{ range .Envs }}{{ end }}", 1),
            ("{{ end }}", 1), ("{{ $x }}", 1), ("{{", 1), ("{{ }}", 1), ("{{ \"a }}", 1), ("{{/* }}", 1),
            ("{{ range parseNumberRange \"5-1\" }}{{ end }}", 1),
            ("{{ range parseNumberRange \"1-70000\" }}{{ end }}", 1),
            ("{{ range parseNumberRange \"a\" }}{{ end }}", 1),
            ("{{ range parseNumberRangePair \"1-2\" \"1\" }}{{ end }}", 1),
            ("{{ range $v := parseNumberRange \"1\" }}{{ $v.First }}{{ end }}", 39),
            ("{{ range $v := parseNumberRange \"1\" }}{{ .Envs.X }}{{ end }}", 39),
            ("{{ range $v := parseNumberRangePair \"1\" \"1\" }}{{ $v }}{{ end }}", 47),
            ("{{ range $a, $b, $c := parseNumberRange \"1\" }}{{ end }}", 1),
            ("{{ template \"x\" }}", 1), ("{{ .Envs.A | upper }}", 1), ("{{ .Envs. }}", 1),
        ]
    )
    func whatIsNotKnownIsRefusedAtItsPlace(_ text: String, _ column: Int) {
        let faults = FaultTests.faults(Array(text.utf8), "frpc.toml")
        #expect(faults.map(\.position) == [.init(line: 1, column: column)], "\(faults)")
    }

    @Test func loopsWithinLoopsAreBounded() {
        let loop = "{{ range parseNumberRange \"1-65536\" }}"
        let empty = loop + loop + loop + "{{ end }}{{ end }}{{ end }}"
        #expect(FaultTests.faults(Array(empty.utf8), "frpc.toml").count == 1)
        let full = loop + String(repeating: "x", count: 100) + "{{ end }}"
        let faults = FaultTests.faults(Array(full.utf8), "frpc.toml")
        #expect(faults.first?.what.english.contains("more than 1048576 bytes") == true)
    }

    @Test func ownFilesHaveNoTemplates() throws {
        let text = "state = \"{{ .Envs.HOME }}\"\n"
        let server = try ConfigurationFile.loadServer(bytes: Array(text.utf8), fileName: "a.toml").configuration
        #expect(server.state == "{{ .Envs.HOME }}")
    }
}
