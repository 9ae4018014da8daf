// SPDX-License-Identifier: Apache-2.0
//
// DNSMessage.swift
// The little of DNS that SRV records need (RFC 1035, 2782, 6891): one question, and answers with compressed names.

/// One SRV record.
struct ServiceRecord: Hashable, Sendable {
    let target: String
    let port: Int
}

/// Questions and answers as bytes.
enum DNSMessage {
    /// Why an answer was dropped.
    enum Problem: Error, Equatable {
        /// It is not an answer to the question, or broken.
        case malformed
        /// The server says no, with DNS's code.
        case refused(code: UInt8)
        /// It did not fit into a datagram.
        case truncated
    }

    /// What a server may answer in one datagram.
    static let datagramBytesMax: UInt16 = 4096
    private static let service: UInt16 = 33
    private static let internet: UInt16 = 1
    private static let options: UInt16 = 41

    /// Asks for the SRV records of `name`; nil when it is no name.
    static func question(id: UInt16, name: String) -> [UInt8]? {
        guard let labels = encode(name) else { return nil }
        var bytes: [UInt8] = []
        func append(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }
        // Recursion desired; one question, one additional record.
        for value in [id, 0x0100, 1, 0, 0, 1] { append(value) }
        bytes += labels
        append(service)
        append(internet)
        // EDNS: the root's name, the type, and how large an answer may be.
        bytes.append(0)
        append(options)
        append(datagramBytesMax)
        for value: UInt16 in [0, 0, 0] { append(value) }
        return bytes
    }

    /// The records of an answer to the question `id`; a name that does not exist has none.
    static func records(_ bytes: [UInt8], id: UInt16) throws(Problem) -> [ServiceRecord] {
        var reader = Reader(bytes: bytes)
        let header = try reader.header()
        guard header.id == id, header.flags & 0x8000 != 0 else { throw .malformed }
        guard header.flags & 0x0200 == 0 else { throw .truncated }
        let code = UInt8(header.flags & 0x000F)
        guard code == 0 || code == 3 else { throw .refused(code: code) }
        for _ in 0..<header.questions {
            _ = try reader.name()
            try reader.skip(4)
        }
        var records: [ServiceRecord] = []
        for _ in 0..<header.answers {
            _ = try reader.name()
            let type = try reader.uint16()
            let section = try reader.uint16()
            try reader.skip(4)
            let length = Int(try reader.uint16())
            let end = reader.position + length
            guard end <= bytes.count else { throw .malformed }
            if type == service, section == internet {
                try reader.skip(4)
                let port = Int(try reader.uint16())
                records.append(ServiceRecord(target: try reader.name(), port: port))
            }
            reader.position = end
        }
        return records
    }

    private static func encode(_ name: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        for label in name.split(separator: ".") {
            guard (1...63).contains(label.utf8.count) else { return nil }
            bytes.append(UInt8(label.utf8.count))
            bytes += label.utf8
        }
        guard (1...254).contains(bytes.count) else { return nil }
        return bytes + [0]
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func header() throws(Problem) -> (id: UInt16, flags: UInt16, questions: Int, answers: Int) {
            let id = try uint16()
            let flags = try uint16()
            let questions = Int(try uint16())
            let answers = Int(try uint16())
            try skip(4)
            return (id, flags, questions, answers)
        }

        mutating func uint16() throws(Problem) -> UInt16 {
            guard position + 2 <= bytes.count else { throw .malformed }
            defer { position += 2 }
            return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
        }

        mutating func skip(_ count: Int) throws(Problem) {
            guard position + count <= bytes.count else { throw .malformed }
            position += count
        }

        /// A name, following pointers backwards; each must lead further back, so that none is followed for ever.
        mutating func name() throws(Problem) -> String {
            var labels: [String] = []
            var at = position
            var after: Int?
            var lowest = position
            while true {
                guard at < bytes.count else { throw .malformed }
                let length = Int(bytes[at])
                if length & 0xC0 == 0xC0 {
                    guard at + 1 < bytes.count else { throw .malformed }
                    let target = (length & 0x3F) << 8 | Int(bytes[at + 1])
                    if after == nil { after = at + 2 }
                    guard target < lowest else { throw .malformed }
                    lowest = target
                    at = target
                } else if length == 0 {
                    position = after ?? at + 1
                    return labels.joined(separator: ".")
                } else {
                    guard length < 64, at + 1 + length <= bytes.count, labels.count < 128 else { throw .malformed }
                    labels.append(String(decoding: bytes[at + 1..<at + 1 + length], as: UTF8.self))
                    at += 1 + length
                }
            }
        }
    }
}
