// SPDX-License-Identifier: Apache-2.0
//
// ClusterState+Groups.swift
// What is set on consumer groups and share groups. The controller knows no more of them: whether they exist is the
// coordinator's business.

extension ClusterState {
    /// Replaces what is set on a group; an empty configuration forgets the group.
    mutating func configure(group: String, _ configuration: [String: String]) -> ClusterChange {
        groupConfigurations[group] = configuration.isEmpty ? nil : configuration
        return .groupConfigured(group)
    }

    /// Puts back what was stored of a group.
    package mutating func restore(group: String, configuration: [String: String]) {
        groupConfigurations[group] = configuration
    }
}
