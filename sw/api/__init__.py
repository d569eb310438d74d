"""What the commands do, as plain functions: options in, a frozen result out, nothing printed."""
