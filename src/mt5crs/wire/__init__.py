"""The protocol without its sockets: frames and time in, frames and events out."""
