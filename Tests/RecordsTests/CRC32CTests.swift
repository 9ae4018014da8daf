// SPDX-License-Identifier: Apache-2.0
//
// CRC32CTests.swift
// Known answers, and the fast form against the tables at every length and alignment.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct CRC32CTests {
    @Test(
        arguments: [
            ("", 0),
            ("313233343536373839", 0xE306_9283),
            // RFC 3720, appendix B.4
            (String(repeating: "00", count: 32), 0x8A91_36AA),
            (String(repeating: "ff", count: 32), 0x62A8_AB43),
            ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0x46DD_794E),
            ("1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100", 0x113F_DB5C),
        ] as [(String, UInt32)])
    func knownAnswers(text: String, expected: UInt32) {
        let buffer = Fixture.hex(text)
        #expect(CRC32C.checksum(buffer) == expected)
        #expect(CRC32C.checksum(buffer.readableBytesSpan) == expected)
        #expect(buffer.withUnsafeReadableBytes { CRC32C.checksum(of: $0) } == expected)
        #expect(buffer.withUnsafeReadableBytes { CRC32C.portableChecksum(of: $0) } == expected)
    }

    @Test func fastFormAgreesWithTablesAtEveryLengthAndAlignment() {
        var random = SeededRandom(seed: 11)
        let bytes = (0..<14_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let lengths =
            Array(0..<600) + Array(1020..<1300)
            + [3071, 3072, 6143, 6144, 6145, 6168, 12_287, 12_288, 12_289, 13_990]
        bytes.withUnsafeBytes { all in
            for length in lengths {
                let start = length % 9
                let part = UnsafeRawBufferPointer(rebasing: all[start..<(start + length)])
                let expected = CRC32C.portableChecksum(of: part, seed: 5)
                #expect(CRC32C.checksum(of: part, seed: 5) == expected, "length \(length)")
                #expect(CRC32C.lanesChecksum(of: part, seed: 5) == expected, "length \(length)")
            }
        }
    }

    @Test func seedContinuesAChecksumAtEveryCut() {
        var random = SeededRandom(seed: 12)
        let buffer = random.compressibleBytes(1000)
        let whole = CRC32C.checksum(buffer)
        let span = buffer.readableBytesSpan
        for cut in 0...span.byteCount {
            let first = CRC32C.checksum(span.extracting(0..<cut))
            let both = CRC32C.checksum(span.extracting(cut..<span.byteCount), seed: first)
            #expect(both == whole, "cut at \(cut)")
        }
    }

    @Test func combinesAtEveryCut() {
        var random = SeededRandom(seed: 13)
        let buffer = random.compressibleBytes(70_001)
        let whole = CRC32C.checksum(buffer)
        let span = buffer.readableBytesSpan
        for cut in [0, 1, 2, 7, 8, 255, 256, 4095, 65_535, 65_536, 70_000, 70_001] {
            let first = CRC32C.checksum(span.extracting(0..<cut))
            let second = CRC32C.checksum(span.extracting(cut..<span.byteCount))
            #expect(CRC32C.combine(first, second, byteCount: span.byteCount - cut) == whole, "cut at \(cut)")
        }
    }

    @Test func implementationHasAName() {
        #expect(["avx512+vpclmulqdq", "sse4.2+pclmul", "armv8 crc+pmull", "tables"].contains(CRC32C.implementation))
    }

    @Test func allocatorTuningIsAcceptedOnGlibc() {
        #if canImport(Glibc)
            #expect(AllocatorTuning.apply())
        #endif
    }
}
