// SPDX-License-Identifier: Apache-2.0
//
// SettingsLoaderTests.swift
// Layers, errors with their lines, and what the values become.

import Model
import Settings
import TestSupport
import Testing

@Suite struct SettingsLoaderTests {
    private func problems(_ yaml: String, environment: [String: String] = [:]) -> [String] {
        do throws(SettingsError) {
            _ = try SettingsLoader.resolve(files: [("g.yaml", yaml)], environment: environment)
            return []
        } catch {
            guard case .problems(let problems) = error else { return ["\(error)"] }
            return problems.map(\.description)
        }
    }

    @Test func defaultsAreKafkas() {
        let settings = BrokerSettings.defaults
        #expect(settings.node.id == NodeID(rawValue: 1))
        #expect(settings.node.clusterID == nil)
        #expect(settings.listeners.kafka.description == "localhost:9092")
        #expect(settings.listeners.advertised.description == "localhost:9092")
        #expect(settings.listeners.maxRequestBytes == .mebibytes(100))
        #expect(settings.listeners.idleTimeout == .seconds(600))
        #expect(settings.groups.initialRebalanceDelay.wholeMilliseconds == 3000)
        #expect(settings.groups.maxSessionTimeout.wholeMilliseconds == 1_800_000)
        #expect(settings.performance.batchTimeout.wholeNanoseconds == 1_000_000)
        #expect(settings.topicDefaults == .default)
        #expect(settings.topicDefaults.retentionMilliseconds == 604_800_000)
        #expect(settings.topicDefaults.maxMessageBytes == 1_048_588)
    }

    @Test func fileValuesAreRead() throws {
        let yaml = """
            # a comment
            node:
              id: 7
            listeners:
              kafka: "*:19092"
            storage:
              journal: on
              write_buffer_bytes: 64 MiB
            topics:
              retention_ms: 7d
              auto_create: no
            admin:
              listen: ""
            """
        let settings = try SettingsLoader.resolve(files: [("g.yaml", yaml)]).typed()
        #expect(settings.node.id.rawValue == 7)
        #expect(settings.listeners.kafka.isWildcard)
        #expect(settings.listeners.advertised.description == "localhost:19092")
        #expect(settings.storage.journal == .on)
        #expect(settings.storage.writeBufferBytes == .mebibytes(64))
        #expect(settings.topicDefaults.retentionMilliseconds == 604_800_000)
        #expect(!settings.topics.autoCreate)
        #expect(settings.adminListen == nil)
    }

    @Test(arguments: ["", "\n", "# only a comment\n", "node:\n"])
    func emptyFilesAreFine(_ yaml: String) {
        #expect(problems(yaml).isEmpty)
    }

    @Test func laterLayersWin() throws {
        let settings = try SettingsLoader.resolve(
            files: [("g.yaml", "node:\n  id: 2\n")],
            environment: [
                "GOULETTE_NODE__ID": "3", "GOULETTE_STORAGE__DIRECTORY": "/d", "GOULETTE_CONFIG": "x", "PATH": "/bin",
            ],
            commandLine: [(key: "node.id", value: "4")])
        #expect(settings.typed().node.id.rawValue == 4)
        #expect(settings.typed().storage.directory == "/d")
        #expect(
            settings.explain("node.id").map { "\($0.origin) = \($0.text)" } == [
                "default = 1", "g.yaml:2 = 2", "environment variable GOULETTE_NODE__ID = 3", "option node.id = 4",
            ])
    }

    @Test(arguments: [
        ("node:\n  id: 1\n  idd: 2\n", "g.yaml:3: unknown key node.idd; did you mean node.id?"),
        (
            "storage:\n  read_cache: 1 MiB\n",
            "g.yaml:2: unknown key storage.read_cache; did you mean storage.read_cache_bytes?"
        ),
        ("node:\n  directory: x\n", "g.yaml:2: unknown key node.directory; did you mean storage.directory?"),
        ("node:\n  qqqqqqqqq: x\n", "g.yaml:2: unknown key node.qqqqqqqqq"),
        ("\nstorge:\n  directory: x\n", "g.yaml:2: unknown section storge; did you mean storage?"),
        ("storage: x\n", "g.yaml:1: storage is a section; its keys stand below it, indented"),
        ("storage:\n  directory:\n", "g.yaml:2: storage.directory has no value; leave the line out to get the default"),
        ("storage:\n  directory: [a]\n", "g.yaml:2: storage.directory takes one value"),
        ("node:\n  id: one\n", "g.yaml:2: node.id: \"one\" is not a whole number"),
        ("node:\n  id: -1\n", "g.yaml:2: node.id: \"-1\" is less than 0"),
        ("storage:\n  compression_level: 20\n", "g.yaml:2: storage.compression_level: \"20\" is more than 19"),
        ("storage:\n  journal: maybe\n", "g.yaml:2: storage.journal: \"maybe\" is none of auto, on, off"),
        (
            "listeners:\n  idle_timeout: 30\n",
            "g.yaml:2: listeners.idle_timeout: \"30\" is not a time such as 30s or 5m"
        ),
        (
            "listeners:\n  kafka: PLAINTEXT://a:1\n",
            "g.yaml:2: listeners.kafka: \"PLAINTEXT://a:1\" names a protocol; write only host:port"
        ),
        (
            "listeners:\n  kafka: ::1:9092\n",
            "g.yaml:2: listeners.kafka: \"::1:9092\" has an IPv6 address without brackets; write [::1]:9092"
        ),
        (
            "listeners:\n  advertised: 0.0.0.0:9092\n",
            "g.yaml:2: listeners.advertised: no client can connect to \"every address\"; write the name or address clients use"
        ),
        (
            "groups:\n  min_session_timeout: 1h\n",
            "g.yaml:2: groups.min_session_timeout: is above groups.max_session_timeout"
        ),
        ("node:\n  id: 1\n  id: 2\n", "g.yaml:2: id is written more than once in the same section"),
        ("- a\n", "g.yaml:1: the file must consist of sections with keys"),
    ]) func problemsHaveTheirLine(_ yaml: String, _ expected: String) {
        #expect(problems(yaml) == [expected])
    }

    @Test func brokenYAMLHasItsLine() {
        #expect(problems("node:\n  id: \"1\nx").first?.hasPrefix("g.yaml:") == true)
    }

    @Test func allProblemsAreReported() {
        #expect(problems("node:\n  id: x\n  rak: y\n", environment: ["GOULETTE_NODE__IDD": "1"]).count == 3)
    }

    @Test func missingFileIsAnError() {
        #expect(throws: SettingsError.self) { try SettingsLoader.load(path: "/nonexistent/goulette.yaml") }
    }

    @Test func changesSayWhenTheyTakeEffect() throws {
        let changed = try SettingsLoader.resolve(
            files: [("g", "log:\n  level: debug\nnode:\n  id: 9\ntopics:\n  retention_ms: 7d\n")])
        #expect(
            changed.changes(since: .defaults).map { "\($0.name): \($0.old) -> \($0.new), \($0.reload)" } == [
                "node.id: 1 -> 9, restart", "log.level: info -> debug, live",
            ])
    }

    @Test func aReloadTakesOverLiveKeysOnly() throws {
        let before = try SettingsLoader.resolve(files: [("g", "log:\n  level: debug\nnode:\n  rack: a\n")])
        let wanted = try SettingsLoader.resolve(files: [("g", "topics:\n  auto_create: no\nnode:\n  rack: b\n")])
        let adopted = try before.adopting(wanted)
        #expect(adopted.changes(since: before).map(\.name) == ["topics.auto_create", "log.level"])
        #expect(wanted.changes(since: adopted).map { "\($0.name) \($0.reload)" } == ["node.rack restart"])
        #expect(adopted.entry("topics.auto_create")?.origin == .file(path: "g", line: 2))
    }

    /// The new values fit each other, but not the old value of a key that waits for a restart.
    @Test func aReloadIsRefusedWhenItsLiveKeysDoNotFitTheRest() throws {
        let wanted = try SettingsLoader.resolve(
            files: [("g", "listeners:\n  max_request_bytes: 50 MiB\ntopics:\n  max_message_bytes: 40 MiB\n")])
        let before = try SettingsLoader.resolve(files: [("g", "listeners:\n  max_request_bytes: 30 MiB\n")])
        #expect(throws: SettingsError.self) { try before.adopting(wanted) }
    }

    // MARK: Files

    @Test func dropInsAreReadInTheOrderOfTheirNames() throws {
        let scratch = try Scratch()
        try scratch.write("node:\n  id: 2\n  rack: a\n", to: "g.yaml")
        try scratch.write("node:\n  rack: c\n", to: "conf.d/20-rack.yaml")
        try scratch.write("node:\n  rack: b\nlog:\n  level: debug\n", to: "conf.d/10-first.yaml")
        try scratch.write("not read", to: "conf.d/README")
        let settings = try SettingsLoader.load(
            path: scratch.path("g.yaml"), environment: ["GOULETTE_LOG__LEVEL": "error"])
        #expect(settings.typed().node.id.rawValue == 2 && settings.typed().node.rack == "c")
        #expect(settings.typed().log.level == .error)
        #expect(settings.entry("node.rack")?.origin == .file(path: scratch.path("conf.d/20-rack.yaml"), line: 2))
        try scratch.write("node:\n  rak: d\n", to: "conf.d/30.yaml")
        #expect(throws: SettingsError.self) { try SettingsLoader.load(path: scratch.path("g.yaml")) }
    }

    @Test func variablesMayNameAFile() throws {
        let scratch = try Scratch()
        try scratch.write("zone 1\n", to: "rack")
        let name = "GOULETTE_NODE__RACK_FILE"
        let settings = try SettingsLoader.resolve(files: [], environment: [name: scratch.path("rack")])
        #expect(settings.typed().node.rack == "zone 1")
        #expect(settings.entry("node.rack")?.origin == .environment(name: name))
        #expect(
            problems("", environment: [name: scratch.path("rack"), "GOULETTE_NODE__RACK": "a"]) == [
                "environment variable \(name): node.rack is set by GOULETTE_NODE__RACK too; remove one of them"
            ])
        #expect(problems("", environment: [name: "/dev/zero"]).first?.contains("more than 1048576 bytes") == true)
        #expect(problems("", environment: [name: "/nonexistent"]).first?.contains("cannot read /nonexistent") == true)
        // A key whose name ends like that is a key.
        let token = try SettingsLoader.resolve(
            files: [], environment: ["GOULETTE_CLUSTER__DISCOVERY_TOKEN_FILE": "/run/token"])
        #expect(token.entry("cluster.discovery_token_file")?.text == "/run/token")
    }

    @Test func kafkaNamesShowTheSettings() throws {
        let settings = try SettingsLoader.resolve(files: [("g", "groups:\n  offsets_retention: 2h\n")])
        let entries = Dictionary(
            uniqueKeysWithValues: BrokerConfigurationNames.entries(of: settings).map { ($0.name, $0) })
        #expect(entries["offsets.retention.minutes"]?.value == "120")
        #expect(entries["offsets.retention.minutes"]?.isDefault == false)
        #expect(entries["socket.request.max.bytes"]?.value == "104857600")
        #expect(entries["connections.max.idle.ms"]?.value == "600000")
        #expect(entries["advertised.listeners"]?.value == "PLAINTEXT://localhost:9092")
    }
}
