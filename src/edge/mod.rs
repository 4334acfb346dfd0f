//! The edge: everything from the network passes here before tiny_http sees it.
