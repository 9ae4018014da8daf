// SPDX-License-Identifier: Apache-2.0
//
// WireReaderTests.swift
// The primitives: every form at its limits, and what is refused before anything is allocated.

import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct WireReaderTests {
    private func reader(_ bytes: [UInt8], isFlexible: Bool = false) -> WireReader {
        WireReader(ByteBuffer(bytes: bytes), isFlexible: isFlexible)
    }

    @Test func integersAreBigEndian() throws {
        var reader = reader([0x80, 0x01, 0x02, 0x7F, 0xFF, 0xFF, 0xFF] + [0x80, 0, 0, 0, 0, 0, 0, 1] + [2, 0])
        #expect(try reader.int8() == -128)
        #expect(try reader.int16() == 0x0102)
        #expect(try reader.int32() == .max)
        #expect(try reader.int64() == .min + 1)
        #expect(try reader.bool())
        #expect(try !reader.bool())
        try reader.expectEnd()
        #expect(throws: WireError.truncated(needed: 1, remaining: 0)) { try reader.int8() }
    }

    @Test(arguments: [0, 1, 127, 128, 16383, 16384, 300, UInt32.max - 1, UInt32.max])
    func varintsRoundTrip(_ value: UInt32) throws {
        var writer = WireWriter()
        writer.unsignedVarint(value)
        var reader = WireReader(writer.finishContiguous())
        #expect(try reader.unsignedVarint() == value)
        try reader.expectEnd()
    }

    @Test func varintsAboveThirtyTwoBitsAreRefused() {
        for bytes: [UInt8] in [
            [0x80, 0x80, 0x80, 0x80, 0x10], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
        ] {
            var reader = reader(bytes)
            #expect(throws: WireError.varintOverflow) { try reader.unsignedVarint() }
        }
        var short = reader([0x80, 0x80])
        #expect(throws: WireError.truncated(needed: 1, remaining: 0)) { try short.unsignedVarint() }
    }

    @Test func stringsInBothForms() throws {
        var classic = reader([0, 3, 0x61, 0xC3, 0xA9, 0, 0, 0xFF, 0xFF])
        #expect(try classic.string() == "aé")
        #expect(try classic.string() == "")
        #expect(try classic.nullableString() == nil)
        var compact = reader([4, 0x61, 0xC3, 0xA9, 1, 0], isFlexible: true)
        #expect(try compact.string() == "aé")
        #expect(try compact.string() == "")
        #expect(try compact.nullableString() == nil)
    }

    @Test func badStringsAreRefused() {
        for (bytes, isFlexible, error): ([UInt8], Bool, WireError) in [
            ([0, 2, 0xC3, 0x28], false, .invalidUTF8),
            ([0, 3, 0xED, 0xA0, 0x80], false, .invalidUTF8),
            ([0xFF, 0xFE], false, .invalidLength(-2)),
            ([0xFF, 0xFF], false, .unexpectedNull),
            ([0], true, .unexpectedNull),
            ([0, 5, 0x61], false, .truncated(needed: 5, remaining: 1)),
            ([0x81, 0x80, 0x02, 0x61], true, .invalidLength(32768)),
        ] {
            var reader = reader(bytes, isFlexible: isFlexible)
            #expect(throws: error) { try reader.string() }
        }
    }

    @Test func recordsAreSlicesAndNullIsNotEmpty() throws {
        var reader = reader([0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
        #expect(try reader.nullableRecords() == ByteBuffer(bytes: [7, 8]))
        #expect(try reader.nullableRecords() == ByteBuffer())
        #expect(try reader.nullableRecords() == nil)
    }

    @Test func countsThatTheBytesCannotHoldAreRefused() {
        let huge: [UInt8] = [0x7F, 0xFF, 0xFF, 0xFF, 0]
        var ints = reader(huge)
        #expect(throws: WireError.invalidLength(Int(Int32.max))) { try ints.int32Array() }
        var strings = reader(huge)
        #expect(throws: WireError.invalidLength(Int(Int32.max))) { try strings.stringArray() }
        var structs = reader(huge)
        #expect(throws: WireError.invalidLength(Int(Int32.max))) {
            let _: [ConsumerTopicPartitions] = try structs.array(version: 0)
        }
        var tags = reader([0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0], isFlexible: true)
        #expect(throws: WireError.invalidLength(Int(UInt32.max))) { try tags.taggedFields() }
        var bytes = reader([0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0], isFlexible: true)
        #expect(throws: WireError.truncated(needed: Int(UInt32.max) - 1, remaining: 1)) { try bytes.bytes() }
    }

    @Test func elementsOfAllArraysTogetherAreLimited() throws {
        let four: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]
        var reader = WireReader(ByteBuffer(bytes: four + four), elementsMax: 6)
        #expect(try reader.stringArray().count == 4)
        #expect(throws: WireError.tooManyElements(limit: 6)) { try reader.stringArray() }
    }

    @Test func unknownTagsAreSkippedAndKnownOnesMustFit() throws {
        // Tag 0 with two bytes, tag 5 with one.
        let section: [UInt8] = [2, 0, 2, 0x12, 0x34, 5, 1, 0xFF]
        var skipping = reader(section, isFlexible: true)
        try skipping.taggedFields()
        try skipping.expectEnd()
        var known = reader(section, isFlexible: true)
        var value: Int16 = 0
        try known.taggedFields { (tag, reader) throws(WireError) in
            guard tag == 0 else { return false }
            value = try reader.int16()
            return true
        }
        #expect(value == 0x1234)
        var short = reader(section, isFlexible: true)
        #expect(throws: WireError.tagSize(0)) {
            try short.taggedFields { (tag, reader) throws(WireError) in
                guard tag == 0 else { return false }
                _ = try reader.int8()
                return true
            }
        }
        for disordered: [UInt8] in [[2, 5, 0, 5, 0], [2, 5, 0, 0, 0]] {
            var reader = reader(disordered, isFlexible: true)
            #expect(throws: WireError.tagOrder(UInt32(disordered[3]))) { try reader.taggedFields() }
        }
        var classic = reader([9])
        try classic.taggedFields()
        #expect(classic.remaining == 1)
    }
}
