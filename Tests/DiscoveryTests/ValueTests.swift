// SPDX-License-Identifier: Apache-2.0
//
// ValueTests.swift
// The parts that need no socket: schedule of a registration, address book, DNS messages.

import Model
import Settings
import Testing

@testable import Discovery

@Suite struct ValueTests {
    private func instant(_ milliseconds: Int64) -> Instant {
        Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds)
    }

    private func registration() -> RegistrationInstance {
        RegistrationInstance(lease: .seconds(15), interval: .seconds(10), now: instant(0))
    }

    @Test func registersThenLooksThenRenewsInAThirdOfTheLease() {
        var instance = registration()
        #expect(instance.next == (.register, instant(0)))
        instance.finished(.register, .done, at: instant(10))
        #expect(instance.isRegistered)
        #expect(instance.next == (.look, instant(0)))
        instance.finished(.look, .done, at: instant(20))
        #expect(instance.next == (.renew, instant(5010)))
        instance.finished(.renew, .done, at: instant(5030))
        #expect(instance.next == (.look, instant(10_020)))
    }

    @Test func aLostLeaseIsRegisteredAtOnce() {
        var instance = registration()
        instance.finished(.register, .done, at: instant(0))
        instance.finished(.look, .done, at: instant(0))
        instance.finished(.renew, .lost, at: instant(5000))
        #expect(!instance.isRegistered)
        #expect(instance.next == (.register, instant(5000)))
        instance.finished(.register, .done, at: instant(5001))
        // Others may have changed too.
        #expect(instance.next == (.look, instant(5001)))
    }

    @Test func pausesDoubleUpToAThirdOfTheLease() {
        var instance = registration()
        var pauses: [Int64] = []
        var now = instant(0)
        for _ in 0..<8 {
            instance.finished(.look, .done, at: now)
            #expect(instance.next.step == .register)
            instance.finished(.register, .failed, at: now)
            pauses.append(instance.next.due.milliseconds(since: now))
            now = instance.next.due
        }
        #expect(pauses == [250, 500, 1000, 2000, 4000, 5000, 5000, 5000])
    }

    @Test func aLeaseThatCouldNotBeRenewedForItsLengthIsLost() {
        var instance = registration()
        instance.finished(.register, .done, at: instant(0))
        for time in [5000, 10_000, 14_999] { instance.finished(.renew, .failed, at: instant(Int64(time))) }
        #expect(instance.isRegistered)
        instance.finished(.renew, .failed, at: instant(15_000))
        #expect(!instance.isRegistered)
    }

    @Test func withoutALeaseItOnlyLooks() {
        var instance = RegistrationInstance(lease: nil, interval: .seconds(10), now: instant(0))
        #expect(instance.next == (.look, instant(0)))
        instance.finished(.look, .failed, at: instant(0))
        #expect(instance.next == (.look, instant(250)))
        instance.finished(.look, .done, at: instant(250))
        #expect(instance.next == (.look, instant(10_250)))
    }

    @Test func theBookKeepsWhatADirectoryForgot() throws {
        let peers = try ["1@a:1", "2@b:2", "3"].map { try PeerAddress(parsing: $0) }
        var book = AddressBook(node: NodeID(rawValue: 1), peers: peers)
        #expect(book.addresses.keys.map(\.rawValue) == [2])
        func found(_ entries: [String]) throws -> [NodeID: NetworkAddress] {
            try Dictionary(
                uniqueKeysWithValues: entries.map { try PeerAddress(parsing: $0) }.map {
                    ($0.id, try #require($0.address))
                })
        }
        #expect(try book.update(found(["1@a:9", "3@c:3", "2@b:2"])).map(\.description) == ["3@c:3"])
        #expect(try book.update(found(["4@d:4", "2@x:2"])).map(\.description) == ["2@x:2", "4@d:4"])
        #expect(book.update([:]).isEmpty)
        #expect(book.addresses.count == 3)
    }

    @Test func theNumberOfATargetIsItsBroker() {
        let records = [
            ServiceRecord(target: "broker-2.example.com", port: 9192), ServiceRecord(target: "g12.x", port: 1),
            ServiceRecord(target: "other.example.com", port: 1), ServiceRecord(target: "b3", port: 0),
        ]
        let found = DNSDirectory.brokers(records)
        #expect(found.keys.map(\.rawValue).sorted() == [2, 12])
        #expect(found[NodeID(rawValue: 2)]?.description == "broker-2.example.com:9192")
    }

    @Test func nameServersAreRead() {
        let text = "# comment\nsearch example.com\nnameserver 10.0.0.2\n  nameserver ::1\nnameserver\n"
        #expect(NameServers.read(text).map(\.description) == ["10.0.0.2:53", "[::1]:53"])
    }
}

@Suite struct DNSMessageTests {
    @Test func aQuestionIsWhatServersExpect() throws {
        let bytes = try #require(DNSMessage.question(id: 0x1234, name: "_g._tcp.x."))
        #expect(bytes.prefix(12) == [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1])
        #expect(Array(bytes[12..<28]) == [2, 95, 103, 4, 95, 116, 99, 112, 1, 120, 0, 0, 33, 0, 1, 0])
        #expect(DNSMessage.question(id: 1, name: "") == nil)
        #expect(DNSMessage.question(id: 1, name: String(repeating: "x", count: 64)) == nil)
    }

    @Test func compressedTargetsAreRead() throws {
        let answer = DNSAnswer.bytes(id: 7, question: "_g._tcp.x.org", targets: [("b-1", 9192), ("b-2", 9193)])
        #expect(
            try DNSMessage.records(answer, id: 7) == [
                ServiceRecord(target: "b-1.x.org", port: 9192), ServiceRecord(target: "b-2.x.org", port: 9193),
            ])
    }

    @Test func problemsAreTold() {
        var answer = DNSAnswer.bytes(id: 7, question: "_g.x", targets: [])
        #expect(throws: DNSMessage.Problem.malformed) { try DNSMessage.records(answer, id: 8) }
        answer[3] = 0x82
        #expect(throws: DNSMessage.Problem.refused(code: 2)) { try DNSMessage.records(answer, id: 7) }
        answer[3] = 0x83
        #expect(throws: Never.self) { try DNSMessage.records(answer, id: 7) }
        answer[2] = 0x86
        #expect(throws: DNSMessage.Problem.truncated) { try DNSMessage.records(answer, id: 7) }
    }

    @Test func noBytesBreakIt() {
        let good = DNSAnswer.bytes(id: 7, question: "_g._tcp.x.org", targets: [("b-1", 9192), ("b-2", 9193)])
        for length in good.indices { _ = try? DNSMessage.records(Array(good.prefix(length)), id: 7) }
        for index in good.indices {
            for value in [0, 0x3F, 0xC0, 0xFF] as [UInt8] {
                var bytes = good
                bytes[index] = value
                _ = try? DNSMessage.records(bytes, id: 7)
            }
        }
    }
}

/// What a name server would answer.
enum DNSAnswer {
    /// SRV records whose targets stand before the question's last labels, compressed.
    static func bytes(id: UInt16, question: String, targets: [(label: String, port: UInt16)]) -> [UInt8] {
        func pair(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }
        var bytes = pair(id) + [0x84, 0x80] + pair(1) + pair(UInt16(targets.count)) + pair(0) + pair(0)
        var suffix: UInt16 = 0
        for label in question.split(separator: ".") {
            if !label.hasPrefix("_"), suffix == 0 { suffix = UInt16(bytes.count) }
            bytes += [UInt8(label.utf8.count)] + label.utf8
        }
        bytes += [0] + pair(33) + pair(1)
        for target in targets {
            let name = [UInt8(target.label.utf8.count)] + Array(target.label.utf8) + pair(0xC000 | suffix)
            let data = pair(0) + pair(0) + pair(target.port) + name
            bytes += pair(0xC00C) + pair(33) + pair(1) + [0, 0, 0, 30] + pair(UInt16(data.count)) + data
        }
        return bytes
    }
}
