// SPDX-License-Identifier: Apache-2.0
//
// HostileInputTests.swift
// Bytes that are cut, changed or lie about their size end in an error, never in a trap or a huge allocation.

import Model
import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct HostileInputTests {
    @Test(arguments: MessageCodec.all)
    func everyTruncationThrows(_ codec: MessageCodec) throws {
        for sample in try VectorFile.samples(codec.name) {
            let whole = sample.buffer
            for length in 0..<sample.bytes.count {
                // No #expect in here: a hundred thousand of them would take most of the suite's time.
                guard let cut = whole.getSlice(at: 0, length: length) else { continue }
                if (try? codec.decode(cut, sample.version)) != nil {
                    Issue.record("\(sample) decodes when cut to \(length)")
                }
            }
        }
    }

    @Test(arguments: MessageCodec.all)
    func aTrailingByteThrows(_ codec: MessageCodec) throws {
        for sample in try VectorFile.samples(codec.name) {
            let long = ByteBuffer(bytes: sample.bytes + [0])
            #expect(throws: WireError.trailingBytes(1)) { try codec.decode(long, sample.version) }
        }
    }

    @Test(arguments: MessageCodec.all)
    func slicesInsideLargerBuffersDecodeTheSame(_ codec: MessageCodec) throws {
        for sample in try VectorFile.samples(codec.name) {
            var frame = ByteBuffer(bytes: [0xDE, 0xAD, 0xBE] + sample.bytes + [0xEF])
            let slice = try #require(frame.getSlice(at: 3, length: sample.bytes.count))
            frame.moveReaderIndex(to: 3)
            frame.moveWriterIndex(to: 3 + sample.bytes.count)
            for buffer in [slice, frame] {
                let message = try codec.decode(buffer, sample.version)
                #expect(message.encode().readableBytesView.hex == sample.bytes.hex, "\(sample)")
            }
        }
    }

    /// Whatever still decodes after a mutation is a value like any other: it must survive the way to bytes and back.
    @Test(arguments: MessageCodec.all)
    func mutationsThrowOrRoundTrip(_ codec: MessageCodec) throws {
        let samples = try VectorFile.samples(codec.name)
        var random = SeededRandom(seed: UInt64(codec.key.rawValue) << 1 | (codec.isRequest ? 1 : 0))
        // 400 mutations of each message.
        for round in 0..<400 {
            let sample = samples[round % samples.count]
            let mutant = ByteBuffer(bytes: Mutation.apply(to: sample.bytes, using: &random))
            guard let message = try? codec.decode(mutant, sample.version) else { continue }
            #expect(try message.equalsDecoded(message.encode()), "\(sample) \(mutant.readableBytesView.hex)")
        }
    }

    @Test(arguments: MessageCodec.all)
    func hugeLengthsAnywhereThrowOrRoundTrip(_ codec: MessageCodec) throws {
        for sample in try VectorFile.samples(codec.name) where sample.bytes.count >= 5 {
            for place in 0..<(sample.bytes.count - 4) {
                for pattern: [UInt8] in [[0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]] {
                    var bytes = sample.bytes
                    bytes.replaceSubrange(place..<place + pattern.count, with: pattern)
                    guard let message = try? codec.decode(ByteBuffer(bytes: bytes), sample.version) else { continue }
                    if try !message.equalsDecoded(message.encode()) {
                        Issue.record("\(sample) with \(pattern) at \(place)")
                    }
                }
            }
        }
    }

    @Test func headersSurviveTruncationAndMutation() throws {
        var random = SeededRandom(seed: 17)
        for sample in try VectorFile.samples("captured-librdkafka") {
            for _ in 0..<200 {
                var mutant = ByteBuffer(bytes: Mutation.apply(to: sample.bytes, using: &random))
                guard let header = try? RequestHeader.read(from: &mutant) else { continue }
                _ = try? RequestDecoder.decode(header, body: mutant)
            }
        }
    }
}

/// Small damages of the kinds that parsers fall over.
private enum Mutation {
    static func apply(to bytes: [UInt8], using random: inout SeededRandom) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes[place] = [0x00, 0x01, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
            case 3: bytes.remove(at: place)
            case 4: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            default: bytes.removeSubrange(place..<min(place + 4, bytes.count))
            }
        }
        return bytes
    }
}
