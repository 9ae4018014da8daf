// SPDX-License-Identifier: Apache-2.0
//
// ClusterSettingsTests.swift
// The section cluster: what it becomes, and every combination that is refused.

import Model
import Settings
import Testing

@Suite struct ClusterSettingsTests {
    private func problems(_ yaml: String) -> [String] {
        do throws(SettingsError) {
            _ = try SettingsLoader.resolve(files: [("g.yaml", yaml)])
            return []
        } catch {
            guard case .problems(let problems) = error else { return ["\(error)"] }
            return problems.map(\.description)
        }
    }

    private func cluster(_ yaml: String, id: Int = 1) throws -> BrokerSettings.Cluster {
        let settings = try SettingsLoader.resolve(files: [("g.yaml", yaml)], commandLine: [("node.id", "\(id)")])
        return try #require(settings.typed().cluster)
    }

    private static let three = "cluster:\n  peers: [3@c:9192, 1@a:9192, 2@b:9192]\n"

    @Test func withoutPeersABrokerIsAlone() {
        #expect(BrokerSettings.defaults.cluster == nil)
    }

    @Test func aListIsEnough() throws {
        let cluster = try cluster(Self.three, id: 2)
        #expect(cluster.peers.map(\.description) == ["1@a:9192", "2@b:9192", "3@c:9192"])
        #expect(cluster.peerListen.description == "b:9192")
        #expect(cluster.peerAdvertised == cluster.peerListen)
        #expect(!cluster.joins)
        #expect(cluster.discovery.kind == .static)
        #expect(cluster.peers.map(\.id.rawValue) == [1, 2, 3])
        #expect(cluster.tls == nil)
        #expect(cluster.electionTimeout == .seconds(1))
        #expect(cluster.replicaReplacementGrace == .seconds(1800))
        #expect(cluster.recoveryRate == .mebibytes(100))
        #expect(cluster.placement == .roundRobin)
    }

    @Test func aListIsAlsoWrittenWithCommas() throws {
        let settings = try SettingsLoader.resolve(
            files: [], environment: ["GOULETTE_CLUSTER__PEERS": "1@a:1, 2@[::1]:2,3@c:3"])
        let addresses = try #require(settings.typed().cluster).peers.map { $0.address?.description }
        #expect(addresses == ["a:1", "[::1]:2", "c:3"])
    }

    @Test func listenAndAdvertisedAddressesMayDiffer() throws {
        let cluster = try cluster(
            Self.three + "listeners:\n  peer: \"*:7000\"\n  advertised_peer: a.example.com:7001\n")
        #expect(cluster.peerListen.isWildcard)
        #expect(cluster.peerAdvertised.description == "a.example.com:7001")
    }

    @Test func zeroMeansNoLimit() throws {
        let cluster = try cluster(Self.three + "  recovery_rate: 0\n  replica_replacement_grace: 0s\n")
        #expect(cluster.recoveryRate == nil)
        #expect(cluster.replicaReplacementGrace == nil)
    }

    @Test(arguments: [
        ("cluster:\n  join: true\n", "g.yaml:2: cluster.join: needs cluster.peers, the brokers to ask"),
        ("listeners:\n  peer: a:1\n", "g.yaml:2: listeners.peer: has no meaning without cluster.peers"),
        (
            "cluster:\n  peers: [2@b:1]\nlisteners:\n  peer: a:1\n",
            "g.yaml:2: cluster.peers: does not name this broker, 1; add it, or set cluster.join to true to enter that cluster"
        ),
        ("cluster:\n  peers: [1@a:1, 1@b:1]\n", "g.yaml:2: cluster.peers: names a broker twice"),
        ("cluster:\n  peers: [1@a:1, 2@a:1]\n", "g.yaml:2: cluster.peers: gives two brokers the same address"),
        (
            "cluster:\n  peers: [1@a:1, 2]\n",
            "g.yaml:2: cluster.peers: must give each broker's address as id@host:port unless cluster.discovery finds them"
        ),
        (
            "cluster:\n  peers: [x@a:1]\n",
            "g.yaml:2: cluster.peers: \"x@a:1\" has an entry that is not id@host:port: x@a:1"
        ),
        (
            "cluster:\n  peers: [1@a]\n",
            "g.yaml:2: cluster.peers: \"1@a\" has an entry that is not host:port: 1@a"
        ),
        (
            "cluster:\n  peers: [1@*:1]\n",
            "g.yaml:2: cluster.peers: \"1@*:1\" has an entry no broker could connect to: 1@*:1"
        ),
        ("cluster:\n  peers: [[1@a:1]]\n", "g.yaml:2: cluster.peers takes a list of single values"),
        ("cluster:\n  discovery: [dns]\n", "g.yaml:2: cluster.discovery takes one value"),
        (
            "cluster:\n  discovery: etcd\n",
            "g.yaml:2: cluster.discovery: needs cluster.peers, the ids of the brokers that form the cluster"
        ),
        (
            "cluster:\n  peers: [1, 2]\n  discovery: etcd\nlisteners:\n  peer: a:1\n",
            "g.yaml:3: cluster.discovery: etcd needs cluster.discovery_endpoints"
        ),
        (
            "cluster:\n  peers: [1, 2]\n  discovery: dns\nlisteners:\n  peer: a:1\n",
            "g.yaml:3: cluster.discovery: dns needs cluster.discovery_name"
        ),
        (
            "cluster:\n  peers: [1, 2]\n  discovery: dns\n  discovery_name: x\nlisteners:\n  peer: a:1\n",
            "g.yaml:4: cluster.discovery_name: must begin with _ (SRV records), or contain {id}, so that the name of each broker is known"
        ),
        (
            "cluster:\n  peers: [1, 2]\n  discovery: dns\n  discovery_name: _x\n",
            "g.yaml:2: cluster.peers: gives no address for this broker, so listeners.peer must say where other brokers connect"
        ),
        (
            "cluster:\n  peers: [1, 2]\n  discovery: dns\n  discovery_name: _x\nlisteners:\n  peer: \"*:1\"\n",
            "g.yaml:6: listeners.peer: no broker can connect to \"every address\"; write the name or address as listeners.advertised_peer"
        ),
        (
            "cluster:\n  peers: [1@a:1]\n  election_timeout: 1s\n  heartbeat_interval: 500ms\n",
            "g.yaml:3: cluster.election_timeout: must be at least three times cluster.heartbeat_interval"
        ),
        (
            "cluster:\n  peers: [1@a:1]\n  failure_timeout: 500ms\n",
            "g.yaml:3: cluster.failure_timeout: is below cluster.election_timeout"
        ),
        (
            "cluster:\n  peers: [1@a:1]\n  tls_key_file: k\n",
            "g.yaml:3: cluster.tls_key_file: needs cluster.tls_certificate_file beside it"
        ),
        (
            "cluster:\n  peer_allowlist: [10.0.0.0/33]\n",
            "g.yaml:2: cluster.peer_allowlist: \"10.0.0.0/33\" has an entry whose length is not 0 to 32: 10.0.0.0/33"
        ),
    ]) func refusals(_ yaml: String, _ expected: String) {
        #expect(problems(yaml) == [expected])
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false), ("192.168.1.7", "192.168.1.7", true),
        ("192.168.1.7", "192.168.1.6", false), ("192.168.1.4/30", "192.168.1.7", true),
        ("192.168.1.4/30", "192.168.1.8", false), ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe00::1", false),
        ("10.0.0.0/8", "a name", false),
    ]) func rangesContainTheirAddresses(_ range: String, _ address: String, _ expected: Bool) throws {
        #expect(try AddressRange(parsing: range).contains(address) == expected)
    }
}
