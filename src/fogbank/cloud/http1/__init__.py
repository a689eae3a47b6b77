"""HTTP/1.1 as the cloud speaks it: a listening socket in, `Request`s out, `Response`s back."""
