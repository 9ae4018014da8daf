// SPDX-License-Identifier: Apache-2.0
//
// PeerSecurityTests.swift
// Mutual TLS between brokers, with certificates made by openssl: who is let in, and who is not.

import Foundation
import Model
import NIOCore
import TestSupport
import Testing

@testable import Replication

/// A folder of keys and certificates.
private struct Certificates {
    private let scratch: Scratch

    /// Makes a root.
    init() throws {
        scratch = try Scratch()
        try makeRoot("root")
    }

    func makeRoot(_ name: String) throws {
        try openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=\(name)", "-keyout", "\(name).key", "-out", "\(name).pem")
    }

    /// The files of a broker whose certificate has these names and this issuer.
    func files(_ name: String, names: [String], issuer: String = "root") throws -> PeerTLS {
        let alternatives = names.map { "DNS:\($0)" }.joined(separator: ",")
        try openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)", "-keyout",
            "\(name).key", "-out", "\(name).csr")
        try scratch.write("subjectAltName=\(alternatives)", to: "\(name).ext")
        try openssl(
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(issuer).pem", "-CAkey", "\(issuer).key", "-CAcreateserial",
            "-days", "2", "-extfile", "\(name).ext", "-out", "\(name).pem")
        return PeerTLS(
            certificateFile: path("\(name).pem"), keyFile: path("\(name).key"), trustRootsFile: path("root.pem"))
    }

    func path(_ name: String) -> String { scratch.path(name) }

    private func openssl(_ arguments: String...) throws {
        let (ending, said) = try ChildProcess.run(
            "/usr/bin/env", ["--chdir=\(scratch.url.path)", "openssl"] + arguments)
        try #require(ending == .exited(0), "openssl \(arguments): \(said)")
    }
}

@Suite(.timeLimit(.minutes(2))) struct PeerSecurityTests {
    @Test func namesOfBrokers() {
        #expect(PeerSecurity.broker("broker-12") == NodeID(rawValue: 12))
        for name in ["broker-", "broker--1", "broker-01", "broker-1.example", "broker-99999999999", "1", "Broker-1"] {
            #expect(PeerSecurity.broker(name) == nil, "\(name)")
        }
    }

    @Test func brokersThatShowTheirCertificates() async throws {
        let certificates = try Certificates()
        let tls = [
            try certificates.files("one", names: ["broker-1"]),
            try certificates.files("two", names: ["host", "broker-2"]),
        ]
        let brokers = [PeerTestBroker(1) { $0.tls = tls[0] }, PeerTestBroker(2) { $0.tls = tls[1] }]
        for broker in brokers { try await broker.start() }
        PeerTestBroker.introduce(brokers)
        for broker in brokers {
            for other in brokers where other !== broker { await broker.waitForLanes(to: other.node) }
        }
        let payload = PeerSamples.bytes(3 << 20)
        let messages = PeerSamples.messages + [PeerSamples.append([PeerSamples.entry(7, payload: payload)])]
        brokers[0].transport.send(messages, to: brokers[1].node)
        await brokers[1].log.wait(for: "from 1", times: messages.count)
        #expect(brokers[1].messages.map(PeerSamples.text).sorted() == messages.map(PeerSamples.text).sorted())
        for broker in brokers { await broker.transport.stop() }
    }

    /// The dialing broker, what it shows, and how it ends.
    @Test(arguments: ["another broker", "another root", "no TLS"])
    func thoseWhoAreNotLetIn(_ flaw: String) async throws {
        let certificates = try Certificates()
        try certificates.makeRoot("foreign")
        let good = try certificates.files("two", names: ["broker-2"])
        let bad: PeerTLS? =
            switch flaw {
            case "another broker": try certificates.files("one", names: ["broker-3"])
            case "another root": try certificates.files("one", names: ["broker-1"], issuer: "foreign")
            default: nil
            }
        let server = PeerTestBroker(2) { $0.tls = good }
        let client = PeerTestBroker(1) { $0.tls = bad }
        for broker in [client, server] { try await broker.start() }
        client.transport.setPeers([server.node: [server.address]])
        switch flaw {
        case "another broker":
            await client.log.wait(for: "refusedByPeer(Replication.PeerWelcome.Status.wrongCertificate)")
        default: await server.log.wait(for: "reason=tls")
        }
        #expect(
            client.value("goulette_peers_up") == 0 && server.value("goulette_peer_connections{direction=\"in\"}") == 0)
        for broker in [client, server] { await broker.transport.stop() }
    }

    @Test func filesThatAreNone() async throws {
        let broker = PeerTestBroker(1) {
            $0.tls = PeerTLS(certificateFile: "/nowhere", keyFile: "/nowhere", trustRootsFile: "/nowhere")
        }
        await #expect(throws: PeerTransportError.self) { try await broker.start() }
    }
}
