// SPDX-License-Identifier: Apache-2.0
//
// OTLPMetricsTests.swift
// Clients' metrics are read as they were written, and no bytes do harm.

import Model
import Testing

@testable import Telemetry

/// Writes Protocol Buffers, for tests.
private enum ProtobufText {
    static func varint(_ value: UInt64) -> [UInt8] {
        var (bytes, rest): ([UInt8], UInt64) = ([], value)
        while rest > 0x7F {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    static func message(_ number: UInt64, _ content: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(UInt64(content.count)) + content
    }

    static func number(_ number: UInt64, _ value: UInt64) -> [UInt8] { varint(number << 3) + varint(value) }

    static func fixed(_ number: UInt64, _ value: UInt64) -> [UInt8] {
        varint(number << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    static func double(_ value: Double) -> [UInt8] { fixed(4, value.bitPattern) }
    static func integer(_ value: Int64) -> [UInt8] { fixed(6, UInt64(bitPattern: value)) }

    static func gauge(_ name: String, _ points: [[UInt8]]) -> [UInt8] {
        message(1, Array(name.utf8)) + message(5, points.flatMap { message(1, $0) })
    }

    static func sum(_ name: String, _ points: [[UInt8]], temporality: UInt64, isMonotonic: Bool) -> [UInt8] {
        let data = points.flatMap { message(1, $0) } + number(2, temporality) + number(3, isMonotonic ? 1 : 0)
        return message(1, Array(name.utf8)) + message(7, data)
    }

    static func data(_ metrics: [[UInt8]]) -> [UInt8] {
        let scope = message(1, message(1, Array("scope".utf8))) + metrics.flatMap { message(2, $0) }
        return message(1, message(1, message(1, [])) + message(2, scope))
    }
}

@Suite struct OTLPMetricsTests {
    private let sample = ProtobufText.data([
        ProtobufText.gauge(
            "a.rate", [ProtobufText.double(1.5), ProtobufText.message(7, [1, 2]) + ProtobufText.integer(-3)]),
        ProtobufText.sum("b.total", [ProtobufText.integer(7)], temporality: 1, isMonotonic: true),
        ProtobufText.sum("c", [ProtobufText.double(2)], temporality: 2, isMonotonic: true),
        ProtobufText.sum("d", [ProtobufText.double(-2)], temporality: 1, isMonotonic: false),
    ])

    @Test func gaugesAndSumsAreRead() throws {
        let metrics = try OTLPMetrics(decoding: sample, pointsMax: 100)
        #expect(
            metrics.points == [
                OTLPPoint(metric: "a.rate", kind: .gauge, value: 1.5),
                OTLPPoint(metric: "a.rate", kind: .gauge, value: -3),
                OTLPPoint(metric: "b.total", kind: .delta(isMonotonic: true), value: 7),
                OTLPPoint(metric: "c", kind: .cumulative(isMonotonic: true), value: 2),
                OTLPPoint(metric: "d", kind: .delta(isMonotonic: false), value: -2),
            ])
        #expect(metrics.ignored == 0)
        #expect(try OTLPMetrics(decoding: [], pointsMax: 1).points.isEmpty)
    }

    @Test func whatIsNoNumberOrTooMuchIsCounted() throws {
        let histogram = ProtobufText.message(1, Array("h".utf8)) + ProtobufText.message(9, ProtobufText.message(1, []))
        let missing = ProtobufText.double(1) + ProtobufText.number(8, 1)
        let data = ProtobufText.data([
            histogram, ProtobufText.gauge("g", [ProtobufText.double(.nan), missing, [], ProtobufText.double(4)]),
            ProtobufText.gauge("more", [ProtobufText.double(5)]),
        ])
        let metrics = try OTLPMetrics(decoding: data, pointsMax: 1)
        #expect(metrics.points == [OTLPPoint(metric: "g", kind: .gauge, value: 4)])
        #expect(metrics.ignored == 5)
    }

    @Test func malformedBytesAreRefused() {
        #expect(throws: OTLPError.cutOff) { try OTLPMetrics(decoding: [0x0A, 0x05, 0x01], pointsMax: 1) }
        #expect(throws: OTLPError.malformedTag) { try OTLPMetrics(decoding: [0x00], pointsMax: 1) }
        #expect(throws: OTLPError.unknownWireType(3)) { try OTLPMetrics(decoding: [0x0B], pointsMax: 1) }
        #expect(throws: OTLPError.malformedVarint) {
            try OTLPMetrics(decoding: [UInt8](repeating: 0xFF, count: 12), pointsMax: 1)
        }
        let text = ProtobufText.data([ProtobufText.message(1, [0xFF, 0xFE]) + ProtobufText.message(5, [])])
        #expect(throws: OTLPError.malformedText) { try OTLPMetrics(decoding: text, pointsMax: 1) }
    }

    @Test func noBytesDoHarm() {
        var random = SeededRandom(seed: 714)
        var decoded = 0
        for length in 0..<sample.count
        where (try? OTLPMetrics(decoding: Array(sample.prefix(length)), pointsMax: 9)) != nil {
            decoded += 1
        }
        // Only between the fields of the outermost message is a cut one a message too.
        #expect(decoded == 1)
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let metrics = try? OTLPMetrics(decoding: bytes, pointsMax: 3) else { continue }
            #expect(metrics.points.count <= 3)
        }
    }
}
