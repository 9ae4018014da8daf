// SPDX-License-Identifier: Apache-2.0
//
// ConfigChange.swift
// One change of one configuration, and what a resource has after some. A value.

import KafkaProtocol
import Settings

/// One change of one configuration.
package struct ConfigChange: Sendable {
    var name: String
    /// Nil for a number that means nothing.
    var operation: ConfigOperation?
    var value: String?

    /// The resources that can be configured while brokers run.
    enum Resource {
        case topic
        case group

        /// Whether a configuration is a list, and what it is when nothing is set.
        fileprivate func definition(_ name: String) -> (isList: Bool, defaultText: String)? {
            switch self {
            case .topic: TopicConfigurationCatalogue.definition(name).map { ($0.type == .list, $0.defaultText) }
            case .group: GroupConfigurationCatalogue.definition(name).map { ($0.type == .list, "") }
            }
        }

        fileprivate func suggestion(for name: String) -> String? {
            switch self {
            case .topic: TopicConfigurationCatalogue.suggestion(for: name)
            case .group: GroupConfigurationCatalogue.suggestion(for: name)
            }
        }
    }

    /// The configuration after `changes`; values are checked by the controller.
    static func apply(
        _ changes: [ConfigChange], to start: [String: String], of resource: Resource
    ) throws(AdminRefusal) -> [String: String] {
        var result = start
        for change in changes {
            // What a newer version stored can be taken away.
            if change.operation == .delete, result.removeValue(forKey: change.name) != nil { continue }
            guard let definition = resource.definition(change.name) else {
                let hint = resource.suggestion(for: change.name).map { "; did you mean \($0)?" } ?? ""
                throw AdminRefusal(.invalidConfig, "Unknown \(resource) configuration \(change.name)\(hint)")
            }
            switch change.operation {
            case .set:
                guard let value = change.value else {
                    throw AdminRefusal(.invalidConfig, "\(change.name) needs a value")
                }
                result[change.name] = value
            case .delete: result.removeValue(forKey: change.name)
            case .append, .subtract:
                guard definition.isList else {
                    throw AdminRefusal(.invalidConfig, "\(change.name) is not a list")
                }
                result[change.name] = combine(
                    result[change.name] ?? definition.defaultText, change.value ?? "",
                    adding: change.operation == .append)
            case nil: throw AdminRefusal(.invalidRequest, "Unknown operation on \(change.name)")
            }
        }
        return result
    }

    private static func combine(_ present: String, _ change: String, adding: Bool) -> String {
        let old = present.split(separator: ",").map(String.init)
        let items = change.split(separator: ",").map(String.init)
        let kept = old.filter { !items.contains($0) }
        return (adding ? kept + items : kept).joined(separator: ",")
    }
}
