// SPDX-License-Identifier: Apache-2.0
//
// VarintTests.swift
// The forms at every edge of 7 bits, and what is refused.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct VarintTests {
    @Test(
        arguments: [
            (0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (63, "7e"), (-64, "7f"), (64, "8001"), (-65, "8101"),
            (8191, "fe7f"), (8192, "808001"), (Int64(Int32.max), "feffffff0f"), (Int64(Int32.min), "ffffffff0f"),
            (Int64.max, "feffffffffffffffff01"), (Int64.min, "ffffffffffffffffff01"),
        ] as [(Int64, String)])
    func zigzagForms(value: Int64, form: String) {
        var buffer = ByteBuffer()
        #expect(Varint.write(value, to: &buffer) == form.count / 2)
        #expect(buffer == Fixture.hex(form))
        #expect(Varint.byteCount(value) == form.count / 2)
        var position = 0
        #expect(Varint.read64(buffer.readableBytesSpan, at: &position) == value)
        #expect(position == buffer.readableBytes)
        if let small = Int32(exactly: value) {
            position = 0
            #expect(Varint.read32(buffer.readableBytesSpan, at: &position) == small)
            #expect(position == buffer.readableBytes)
            #expect(UInt64(Varint.zigzag(small)) == Varint.zigzag(value))
        }
    }

    @Test func everyBitLengthSurvivesARoundTrip() {
        for bit in 0..<64 {
            for value in [UInt64(1) << UInt64(bit), (UInt64(1) << UInt64(bit)) - 1, ~0 >> UInt64(bit)] {
                var buffer = ByteBuffer()
                let length = Varint.writeUnsigned(value, to: &buffer)
                #expect(length == Varint.byteCount(unsigned: value))
                var position = 0
                #expect(Varint.readUnsigned64(buffer.readableBytesSpan, at: &position) == value)
                position = 0
                #expect(
                    Varint.readUnsigned32(buffer.readableBytesSpan, at: &position) == UInt32(exactly: value),
                    "\(value)")
            }
        }
    }

    @Test(arguments: [
        "", "80", "ffff", "ffffffff", "ffffffff10", "ffffffffff", "8080808080", "ffffffff8f", "ffffffff8f00",
    ])
    func cutOffOrTooLong32(form: String) {
        let buffer = Fixture.hex(form)
        var position = 0
        #expect(Varint.readUnsigned32(buffer.readableBytesSpan, at: &position) == nil)
        position = 0
        #expect(Varint.read32(buffer.readableBytesSpan, at: &position) == nil)
    }

    @Test(arguments: ["", "80", "ffffffffffffffffff", "ffffffffffffffffff02", "ffffffffffffffffffff01"])
    func cutOffOrTooLong64(form: String) {
        let buffer = Fixture.hex(form)
        var position = 0
        #expect(Varint.readUnsigned64(buffer.readableBytesSpan, at: &position) == nil)
        position = 0
        #expect(Varint.read64(buffer.readableBytesSpan, at: &position) == nil)
    }

    @Test func paddedFormsAreAcceptedAsInKafka() {
        let buffer = Fixture.hex("8000 81808000")
        var position = 0
        #expect(Varint.readUnsigned32(buffer.readableBytesSpan, at: &position) == 0)
        #expect(position == 2)
        #expect(Varint.readUnsigned64(buffer.readableBytesSpan, at: &position) == 1)
        #expect(position == 6)
    }

    @Test func positionsOutsideTheBytesReadNothing() {
        let buffer = Fixture.hex("01")
        for start in [-1, 1, 2, Int.max, Int.min] {
            var position = start
            #expect(Varint.readUnsigned32(buffer.readableBytesSpan, at: &position) == nil)
            position = start
            #expect(Varint.readUnsigned64(buffer.readableBytesSpan, at: &position) == nil)
        }
    }
}
