// SPDX-License-Identifier: Apache-2.0
//
// FieldListing.swift
// Lists the fields of any message as `path = value`, the spelling of the golden vectors.

import Model
import NIOCore

@testable import KafkaProtocol

enum FieldListing {
    /// Every field of `message`, nested ones with their path.
    static func fields(of message: some WireCoded) -> [String] {
        var lines: [String] = []
        for child in Mirror(reflecting: message).children { list(child.value, child.label ?? "?", &lines) }
        return lines
    }

    private static func list(_ value: Any, _ path: String, _ lines: inout [String]) {
        if let text = text(value) {
            lines.append("\(path) = \(text)")
            return
        }
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional:
            if let wrapped = mirror.children.first {
                list(wrapped.value, path, &lines)
            } else {
                lines.append("\(path) = nil")
            }
        case .collection:
            lines.append("\(path).count = \(mirror.children.count)")
            for (index, child) in mirror.children.enumerated() { list(child.value, "\(path)[\(index)]", &lines) }
        default:
            for child in mirror.children { list(child.value, "\(path).\(child.label ?? "?")", &lines) }
        }
    }

    /// The spelling of a value without parts; nil for everything else.
    private static func text(_ value: Any) -> String? {
        switch value {
        case let value as KafkaErrorCode: value.name
        case let value as TopicID: "\(value)"
        case let value as UniqueID: "\(value)"
        case let value as String: "\"\(value)\""
        case let value as [UInt8]: value.isEmpty ? nil : "0x\(value.hex)"
        case let value as ByteBuffer: "0x\(value.readableBytesView.hex)"
        case let value as RecordSlices: "0x\(value.contiguous().readableBytesView.hex)"
        case let value as any FixedWidthInteger: "\(value)"
        case let value as Bool: "\(value)"
        default: nil
        }
    }
}
